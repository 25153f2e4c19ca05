/** How fast a server answers for regions that nobody has asked it for yet. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { usageOf } from '../measure/process-usage.ts';
import type { Server } from '../servers/server.ts';
import type { Field } from './field.ts';
import type { Stage } from './stage.ts';
import { runTrial, type Step, type Trial, verify } from './trial.ts';

/** A server that has used less than so much of a processor, so many times in a row, has nothing more to do by itself. */
const quiet = { share: 0.03, milliseconds: 200, times: 5 };

// What a server looks at by itself, once it listens, is no answer. It has as long for that as it takes.
async function untilQuiet(pid: number, signal: AbortSignal): Promise<void> {
  for (let times = 0, before = usageOf(pid).cpuSeconds; times < quiet.times; ) {
    await delay(quiet.milliseconds, undefined, { signal });
    const now = usageOf(pid).cpuSeconds;
    times = now - before < (quiet.share * quiet.milliseconds) / 1000 ? times + 1 : 0;
    before = now;
  }
}

/** Puts a server of its own under load, which ends at once. Some bodies are compared behind the load, not to warm it. */
export function runCold(stage: Stage, field: Field, server: Server, step: Step): Promise<Trial> {
  return field.withServerAlone(step.scenario, server, async (contender) => {
    await untilQuiet(contender.pid ?? 0, stage.signal);
    const trial = await runTrial(stage, contender, step);
    const faults = trial.faults.length > 0 ? trial.faults : await verify(stage, contender, step);
    return { ...trial, faults };
  });
}
