/** What a kept-alive connection costs that has had an answer and does nothing. @module */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openFileLimit, usageOf } from '../measure/process-usage.ts';
import { collectSignal, type Server } from '../servers/server.ts';
import { type Contender, jobOf } from './contender.ts';
import type { Field } from './field.ts';
import { judge } from './judge.ts';
import type { Stage } from './stage.ts';
import { boundsOf, type Step, type Trial } from './trial.ts';

/** Timers that end what a request leaves behind have run by then. */
const settleMilliseconds = 1500;

/** A connection that a lane knows has two descriptors; and the process has others. */
const descriptorsEach = 2;
const otherDescriptors = 256;

/**
 * Counts for a server of its own, which ends at once: memory that was taken once does not always come back. What it has
 * more than before the connections came, both times after Node was made to collect its garbage.
 */
export function runIdle(stage: Stage, field: Field, server: Server, step: Step): Promise<Trial> {
  const at = stage.clock();
  return field.withServerAlone(step.scenario, server, async (contender) => {
    const wanted = step.scenario.idle ?? 0;
    const limit = openFileLimit(readFileSync(`/proc/${contender.pid}/limits`, 'utf8'));
    const connections = Math.min(wanted, Math.floor((limit - otherDescriptors) / descriptorsEach));
    const asked = { ...step.scenario, rate: undefined };
    const bounds = { ...boundsOf(stage, step.scenario), seconds: 0, most: connections };
    await stage.load(jobOf(contender, asked, { ...bounds, seconds: 1, most: stage.most }, step.round));
    const before = await settled(contender, server);
    const job = jobOf(contender, { ...asked, connections }, bounds, step.round);
    const connected = await stage.connect(job);
    const main = await connected.go();
    const after = await settled(contender, server);
    await connected.end();
    const { faults } = await judge(stage, contender, undefined, [main], undefined);
    const each = (value: (of: typeof before) => number) => (value(after) - value(before)) / connections;
    const nativeBytes = contender.scraper ? each(({ native }) => native) : null;
    const idle = { residentBytes: each(({ resident }) => resident), nativeBytes };
    const { scenario, round } = step;
    return { scenario: scenario.name, server: server.name, round, at, main, idle, isReconciled: false, faults };
  });
}

async function settled({ pid = 0, scraper }: Contender, { isNode }: Server) {
  await delay(settleMilliseconds);
  const native = (await scraper?.snapshot())?.metrics.sum('pagerelay_native_allocated_bytes') ?? 0;
  if (isNode) {
    process.kill(pid, collectSignal);
    await delay(settleMilliseconds);
  }
  return { native, resident: usageOf(pid).residentBytes };
}
