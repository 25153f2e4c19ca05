/** Clients that do the same again and again until they are stopped. @module */
import { until } from './poll.ts';
import { RawClient } from './raw.ts';
import type { Scope } from './scope.ts';

/** One of them, on a connection of its own. */
export type Loop = {
  /** How often it was done. */
  readonly turns: number;
  /** Why it ended by itself. */
  readonly error: unknown;
  /** Lets it finish its turn. @throws what it failed with */
  stop(): Promise<void>;
};

/** Starts one; it also ends with the test. */
export async function startLoop(scope: Scope, port: number, once: (client: RawClient) => Promise<void>): Promise<Loop> {
  const client = await RawClient.connect(scope, port);
  const state = { turns: 0, error: undefined as unknown, stopped: false };
  const run = async () => {
    try {
      for (; !state.stopped; state.turns++) await once(client);
    } catch (error) {
      state.error = error;
    }
    client.destroy();
  };
  const ended = run();
  const stop = async () => {
    state.stopped = true;
    await ended;
    if (state.error !== undefined) throw state.error;
  };
  return {
    get turns() {
      return state.turns;
    },
    get error() {
      return state.error;
    },
    stop,
  };
}

/** Waits until each has made so many more turns. */
export async function untilTurned(loops: readonly Loop[], turns: number): Promise<void> {
  const goals = loops.map((loop) => loop.turns + turns);
  const isDone = () => {
    for (const { error } of loops) if (error !== undefined) throw error;
    return loops.every((loop, at) => loop.turns >= (goals[at] ?? 0));
  };
  const instead = () => loops.map((loop, at) => loop.turns - (goals[at] ?? 0) + turns);
  await until(isDone, `each has had ${turns} turns`, instead);
}

/** Stops them all. @throws what one of them failed with */
export async function stopLoops(loops: readonly Loop[]): Promise<void> {
  await Promise.all(loops.map((loop) => loop.stop()));
}
