/** What a service holds, and whether it has let go of all of it. @module */
import type { Counters, Outcome, Reference } from '../../src/relay/relay.ts';
import type { Service } from '../../src/service.ts';
import { countOpen, type Open } from './descriptors.ts';
import type { Listening } from './lane-answers.ts';
import { until } from './poll.ts';
import { RawClient } from './raw.ts';
import type { Scope } from './scope.ts';
import type { Running } from './service.ts';

/** One entry of `GET /references`. */
export type ListedReference = Omit<Reference, 'generation'> & { readonly region: string };

/** Asks `GET /references`, without a connection. */
export async function referencesOf({ service }: Pick<Running, 'service'>): Promise<ListedReference[]> {
  const answer = await service.app.inject({ url: '/references' });
  return (answer.json() as { references: ListedReference[] }).references;
}

/** How many transmissions have ended, by outcome, over all engines. */
export function outcomesOf(service: Service): Partial<Record<Outcome, number>> {
  const sums: Partial<Record<Outcome, number>> = {};
  for (const outcomes of Object.values(service.relay.counters().transmissions)) {
    for (const [outcome, count] of Object.entries(outcomes) as [Outcome, number][]) {
      if (count > 0) sums[outcome] = (sums[outcome] ?? 0) + count;
    }
  }
  return sums;
}

/** How many references have been dropped. */
export function droppedBy(counters: Counters): number {
  return counters.holdSeconds.buckets.reduce((sum, [, count]) => sum + count, 0);
}

/** Waits until nothing is held, no connection is known, and no more is open than was. */
export async function untilReturned({ service }: Pick<Running, 'service'>, atMost: Open): Promise<void> {
  const isReturned = () => {
    const { references, heldBytes, quarantined, quarantinedBytes, connections, brokenOff } = service.relay.counters();
    const left = references + heldBytes + quarantined + quarantinedBytes + connections + brokenOff;
    const open = countOpen();
    const descriptorsBack = open.descriptors <= atMost.descriptors && open.pipes <= atMost.pipes;
    return left === 0 && descriptorsBack && open.mappings <= atMost.mappings;
  };
  const instead = () => ({ was: atMost, is: countOpen(), counters: service.relay.counters() });
  await until(isReturned, 'everything is given back', instead);
}

/**
 * Has a byte of a region sent, and waits until that is over: the region is then open. Returns what is open from then on,
 * at most, when nothing is in flight: for Node and each lane, one pipe that they have used waits for its next use.
 */
export async function warmUp(
  scope: Scope,
  running: Pick<Running, 'service'> & Pick<Listening, 'port'>,
  name: string,
): Promise<Open> {
  const client = await RawClient.connect(scope, running.port);
  client.get(`/regions/${name}`, '0-0');
  await client.response();
  client.destroy();
  const anything = { descriptors: 1e9, pipes: 1e9, mappings: 1e9 };
  await untilReturned(running, anything);
  await until(async () => (await connectionsOf(running)) === 0, 'the connection is closed');
  const open = countOpen();
  return { ...open, pipes: open.pipes + 2 * running.service.relay.lanes().length };
}

/** How many connections Node has. */
export function connectionsOf({ service }: Pick<Running, 'service'>): Promise<number> {
  return new Promise((resolve, reject) => {
    service.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
