/** How fast a server answers for regions that nobody has asked it for yet. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Server } from '../servers/server.ts';
import type { Field } from './field.ts';
import { RunScope } from './run-scope.ts';
import type { Stage } from './stage.ts';
import { runTrial, type Step, type Trial, verify } from './trial.ts';

/** What a server does by itself once it listens has ended by then: all have the same time for it. */
const startMilliseconds = 2000;

/** Puts a server of its own under load, which ends at once. Some bodies are compared behind the load, not to warm it. */
export async function runCold(
  parent: RunScope,
  stage: Stage,
  field: Field,
  server: Server,
  step: Step,
): Promise<Trial> {
  const scope = new RunScope(parent);
  try {
    const contender = await field.startAlone(scope, step.scenario, server);
    await delay(startMilliseconds, undefined, { signal: stage.signal });
    const trial = await runTrial(stage, contender, step);
    const faults = trial.faults.length > 0 ? trial.faults : await verify(stage, contender, step);
    return { ...trial, faults };
  } finally {
    await scope.end();
  }
}
