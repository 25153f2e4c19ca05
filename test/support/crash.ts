/** Writable services that are killed, and started again. @module */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Durability } from '../../src/relay/overwriting.ts';
import { type Child, startCli } from './process.ts';
import type { Scope } from './scope.ts';
import type { Dice } from './traffic.ts';

/** What an overwrite may be as durable as. */
export const modes: readonly [Durability, ...Durability[]] = ['sync', 'group', 'none'];

/** Another one for each round. */
export function modeOf(round: number): Durability {
  return modes[round % modes.length] ?? modes[0];
}

export function serveWritable(scope: Scope, dir: string, mode: Durability): Child {
  const flags = ['--writable', '--port', '0', '--drain', '2', '--log-level', 'error', '--durability', mode];
  return startCli(scope, ['serve', '--dir', dir, ...flags]);
}

/** The moment is what is drawn: there is nothing to wait for. */
export async function atAnyMoment(dice: Dice, withinMilliseconds: number): Promise<void> {
  await delay(dice(withinMilliseconds));
}

export async function kill(child: Child): Promise<void> {
  child.process.kill('SIGKILL');
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL' }, child.stderr());
}
