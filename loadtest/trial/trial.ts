/** One server, one scenario, one round. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { Histogram, type HistogramData } from '../clients/histogram.ts';
import type { ClientResult, Fault } from '../clients/job.ts';
import { usageOf } from '../measure/process-usage.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { quiet } from '../scrape/settle.ts';
import type { WriteResult } from '../writer/writing.ts';
import type { Contender } from './contender.ts';
import { checkerJob, jobOf } from './jobs.ts';
import { judge } from './judge.ts';
import { type ServerUse, serverUse, usageIfThere } from './server-use.ts';
import type { Stage } from './stage.ts';

/** What a writer did meanwhile. */
export type TrialWrites = Omit<WriteResult, 'milliseconds'> & {
  /** Microseconds from when a write was due to its answer. */
  readonly latency: HistogramData;
};

/** All that one trial gave. */
export type Trial = {
  readonly scenario: string;
  readonly peer: string;
  readonly round: number;
  /** Seconds from the start of the run. */
  readonly at: number;
  readonly main: ClientResult;
  /** Reads beside it, slowly, and checks each body. */
  readonly checker: ClientResult;
  readonly writes: TrialWrites | undefined;
  /** Undefined where nothing tells. */
  readonly server: ServerUse | undefined;
  /** Whether counters were compared with what the clients saw. */
  readonly isReconciled: boolean;
  readonly faults: readonly Fault[];
};

/** Runs one. What is wrong is in its faults. @throws AbortError */
export async function runTrial(stage: Stage, contender: Contender, scenario: Scenario, round: number): Promise<Trial> {
  const { scraper, writer, pid } = contender;
  const at = stage.clock();
  const before = await scraper?.snapshot();
  const used = pid === undefined ? undefined : usageOf(pid);
  writer?.start();
  const over = new AbortController();
  const looking = lookDuring(stage, contender, over.signal);
  const [main, checker] = await Promise.all([
    stage.main.run(jobOf(stage, contender, scenario, round)),
    stage.checker.run(checkerJob(stage, contender, round)),
  ]).finally(() => over.abort());
  await looking;
  const after = usageIfThere(pid);
  const written = await writer?.end();
  const server = await serverUse(contender, at, used, after, before);
  const shown = await judge(stage, contender, before, [main, checker], written);
  return {
    scenario: scenario.name,
    peer: contender.name,
    round,
    at,
    main,
    checker,
    writes: written && writesOf(written),
    server,
    ...shown,
  };
}

function writesOf({ milliseconds, ...counts }: WriteResult): TrialWrites {
  const latency = new Histogram();
  for (const each of milliseconds) latency.record(each * 1000);
  return { ...counts, latency: latency.toJSON() };
}

/** Has code compiled before anything is measured. What is wrong is told as of a trial. */
export async function warmUp(stage: Stage, contender: Contender): Promise<readonly Fault[]> {
  const { scraper } = contender;
  const { before, faults } = scraper ? await quiet(scraper, stage.settleSeconds, stage.signal) : nothingBefore;
  if (faults.length > 0) return faults;
  const scenario = { pattern: 'random', size: 2 ** 14, connections: 8, keepAlive: true } as const;
  const job = { ...jobOf(stage, contender, scenario, 0), seconds: Math.min(0.3, stage.seconds) };
  return (await judge(stage, contender, before, [await stage.main.run(job)], undefined)).faults;
}

const nothingBefore = { before: undefined, faults: [] };

// However short a load is, one scrape falls into it.
async function lookDuring({ seconds }: Stage, { scraper }: Contender, over: AbortSignal): Promise<void> {
  try {
    await delay((seconds * 1000) / 2, undefined, { signal: over });
    await scraper?.snapshot();
  } catch {
    // The load has ended before, or the next snapshot says what is wrong.
  }
}
