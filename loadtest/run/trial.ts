/** One server, one scenario, one round. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, Job } from '../clients/job.ts';
import { encodeLatency, newLatency, recordLatency } from '../clients/latency.ts';
import type { ClientResult } from '../clients/tally.ts';
import type { WriteResult } from '../clients/writing.ts';
import { type Usage, usageOf } from '../measure/process-usage.ts';
import { regionsOf, type Scenario } from '../model/scenario.ts';
import { heldBack } from '../scrape/reconcile.ts';
import type { Snapshot } from '../scrape/scraper.ts';
import { type Bounds, type Contender, checkerJob, jobOf } from './contender.ts';
import { judge, settle } from './judge.ts';
import type { Stage } from './stage.ts';

/** All that one trial gave. */
export type Trial = {
  readonly scenario: string;
  readonly server: string;
  readonly round: number;
  /** Seconds from the start of the run. */
  readonly at: number;
  readonly main: ClientResult;
  /** Reads beside it, slowly, and checks each body. */
  readonly checker?: ClientResult | undefined;
  /** Of a writer; latency from when a write was due to its answer (clients/latency.ts). */
  readonly writes?: ReturnType<typeof writesOf> | undefined;
  /** Missing where nothing tells. */
  readonly use?: Awaited<ReturnType<typeof serverUse>>;
  /** Bytes that an idle connection takes; of these, what the native shim has set aside, null where there is none. */
  readonly idle?: { readonly residentBytes: number; readonly nativeBytes: number | null };
  /** Whether counters were compared with what the clients saw. */
  readonly isReconciled: boolean;
  readonly faults: readonly Fault[];
};

/** A scenario of a round, whose rate is known. */
export type Step = {
  readonly scenario: Scenario;
  readonly round: number;
  readonly rate: number | undefined;
  readonly etags: readonly string[];
};

/** How long the load of a scenario is, and by which clients. */
export function boundsOf({ profile, most }: Stage, scenario: Scenario): Bounds {
  const { leastSeconds = 0, cold } = scenario;
  if (cold) return { seconds: 0, most: regionsOf(scenario).count, clients: 'fast' };
  return { seconds: Math.max(profile.seconds, leastSeconds), most, clients: profile.clients };
}

/** The job of a step. */
export function jobFor(stage: Stage, contender: Contender, { scenario, round, rate, etags }: Step): Job {
  return jobOf(contender, { ...scenario, rate }, boundsOf(stage, scenario), round, etags);
}

/** Runs one. What is wrong is in its faults. @throws AbortError */
export async function runTrial(stage: Stage, contender: Contender, step: Step): Promise<Trial> {
  const { scraper, writer, pid } = contender;
  const { scenario, round } = step;
  const check = scenario.cold ? undefined : stage.check; // Its reads would warm what is to be cold.
  const at = stage.clock();
  const before = await scraper?.snapshot();
  const job = jobFor(stage, contender, step);
  writer?.start();
  const warm = scenario.cold ? [] : await warmUp(stage, job);
  const used: (Usage | undefined)[] = [];
  const look = () => void used.push(usageIfThere(pid));
  const over = new AbortController();
  const [main, checker] = await Promise.all([
    stage.load(job, { began: look, ended: look }).finally(() => over.abort()),
    check?.(checkerJob(contender, scenario, boundsOf(stage, scenario), round)),
    check && lookDuring(stage, contender, over.signal),
  ]);
  const written = await writer?.end();
  const use = await serverUse(contender, at, used, before);
  const judged = await judge(stage, contender, before, [...warm, main, ...(checker ? [checker] : [])], written);
  return {
    ...{ scenario: scenario.name, server: contender.name, round, at, main, checker, use, ...judged },
    writes: written && writesOf(written),
  };
}

// What it has used so far; undefined when it is gone.
function usageIfThere(pid: number | undefined): Usage | undefined {
  try {
    return pid === undefined ? undefined : usageOf(pid);
  } catch {
    return undefined; // It has died: that is told from its address.
  }
}

// What the server used between two looks, the first at `at` seconds of the run, or as it tells itself.
async function serverUse(
  { scraper }: Contender,
  at: number,
  [before, after]: readonly (Usage | undefined)[],
  scraped: Snapshot | undefined,
) {
  const delays = scraper?.points.flatMap((point) => (point.at < at ? [] : (point.eventLoopDelayMilliseconds ?? [])));
  const [worst] = delays?.sort((a, b) => b.p99 - a.p99) ?? [];
  const told = before && after ? undefined : await scraper?.snapshot().catch(() => undefined);
  const [from, to] = before && after ? [before, after] : [scraped?.point, told?.point];
  if (!from || !to || to.residentBytes === 0) return undefined;
  return {
    cpuSeconds: to.cpuSeconds - from.cpuSeconds,
    /** After the load. */
    residentBytes: to.residentBytes,
    /** Context switches of all its threads; undefined where only its metrics tell. */
    switches: before && after && after.switches - before.switches,
    /** The worst between two scrapes. */
    eventLoopDelayMilliseconds: worst,
  };
}

// What answers few large bodies a second runs nothing often.
function isLong({ scenario, regionBytes }: Job): boolean {
  return scenario.pattern === 'whole' && scenario.method !== 'HEAD' && regionBytes > 2 ** 27;
}

async function warmUp(stage: Stage, job: Job): Promise<ClientResult[]> {
  const seconds = stage.profile.warmUpSeconds;
  return seconds > 0 && !isLong(job) ? [await stage.load({ ...job, seconds })] : [];
}

function writesOf({ milliseconds, ...counts }: WriteResult) {
  const latency = newLatency();
  for (const each of milliseconds) recordLatency(latency, each * 1000);
  return { ...counts, latency: encodeLatency(latency) };
}

/** The first load on a server finds code that is not compiled yet: it lasts as long as so many others. */
const firstLoads = 4;

/** Code that runs a hundred times a second stays cold for a minute: a writer first writes more often. */
const writerWarmUp = { rate: 1000, loads: 10 } as const;

/** Has code compiled before anything is measured. What is wrong is told as of a trial. */
export async function prepare(stage: Stage, contender: Contender, step: Step): Promise<readonly Fault[]> {
  const { seconds, clients } = stage.profile;
  const { writer } = contender;
  if (writer) {
    writer.start(writerWarmUp.rate);
    await delay(writerWarmUp.loads * seconds * 1000, undefined, { signal: stage.signal });
    await writer.end();
  }
  // A reader that is not part of the scenario: where a server answers wrongly, a trial is to say so.
  const gentle = { pattern: 'random', size: Math.min(2 ** 14, contender.regionBytes), connections: 8 } as const;
  const job =
    clients === 'fast'
      ? { ...jobFor(stage, contender, { ...step, rate: undefined }), seconds: firstLoads * Math.min(seconds, 0.5) }
      : jobOf(contender, gentle, { ...boundsOf(stage, step.scenario), seconds: Math.min(0.3, seconds) }, 0);
  return isLong(job) ? [] : counted(stage, contender, job, false);
}

/** So many bytes of a server's bodies are compared, byte for byte; but at least one body, and not many small ones. */
const comparedBytes = 2 ** 27;
const comparedBodies = 100;

/** Compares bodies before a scenario, where no reader does it beside its loads. */
export async function verify(stage: Stage, contender: Contender, step: Step): Promise<readonly Fault[]> {
  const job = { ...jobFor(stage, contender, { ...step, rate: undefined }), seconds: 0 };
  const asked = job.scenario;
  if ((stage.check && !asked.cold) || job.client !== 'c' || job.reference?.kind !== 'file') return [];
  const bytes = asked.pattern === 'whole' ? job.regionBytes : asked.size;
  const most = Math.max(1, Math.min(comparedBodies, Math.floor(comparedBytes / bytes)));
  const connections = Math.min(asked.connections, Math.ceil(most / 4));
  return counted(stage, contender, { ...job, most, scenario: { ...asked, connections } }, true);
}

async function counted(stage: Stage, contender: Contender, job: Job, verifies: boolean) {
  // What was asked before then adds to no counter any more.
  const before = contender.scraper && (await settle(contender.scraper, heldBack, stage));
  if (before && before.faults.length > 0) return before.faults;
  const result = await stage.load(job, undefined, verifies);
  return (await judge(stage, contender, before?.last, [result], undefined)).faults;
}

// However short a load is, one scrape falls into it.
async function lookDuring({ profile }: Stage, { scraper }: Contender, over: AbortSignal): Promise<void> {
  try {
    await delay((profile.seconds * 1000) / 2, undefined, { signal: over });
    await scraper?.snapshot();
  } catch {
    // The load has ended before, or the next snapshot says what is wrong.
  }
}
