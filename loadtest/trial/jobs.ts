/** From a scenario to what clients are told. @module */
import type { ClientKind, Job } from '../clients/job.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import type { Contender } from './contender.ts';
import type { Stage } from './stage.ts';

/** autocannon is used for ranges up to that: beyond it, what it does for each byte is most of what is measured. */
export const autocannonLargest = 2 ** 18;

const checkerPace = { pattern: 'random', size: 2 ** 18, connections: 2, keepAlive: true, rate: 20 } as const;

/** What of a scenario a client needs to know. */
export type Asked = Omit<Scenario, 'name' | 'about' | 'against'>;

/**
 * Which client a scenario needs. autocannon counts no answer whose connection it closes (reconnectRate), and sends the
 * requests of a second in a row at its beginning, where a rate is to be even.
 */
export function clientFor({ pattern, size, keepAlive, rate }: Asked): ClientKind {
  const isPlain = pattern === 'random' || pattern === 'sequential' || pattern === 'zipf';
  return isPlain && keepAlive && rate === undefined && size <= autocannonLargest ? 'autocannon' : 'undici';
}

/** The load itself. */
export function jobOf(
  { seconds, most }: Stage,
  { origin, path, regionBytes, headers, reference }: Contender,
  scenario: Asked,
  seed: number,
): Job {
  const { pattern, size, connections, keepAlive, rate, bytesPerSecond } = scenario;
  const asked = { pattern, size, connections, keepAlive };
  return {
    client: clientFor(scenario),
    origin,
    path,
    regionBytes,
    headers,
    scenario: {
      ...asked,
      ...(rate !== undefined && { rate }),
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    },
    seconds,
    most,
    seed,
    reference,
    checkEvery: checkEvery(scenario),
  };
}

// About as many bytes are checked whatever the size: sha-256 costs more than the rest of a client.
function checkEvery({ pattern, size }: Pick<Scenario, 'pattern' | 'size'>): number {
  if (pattern === 'whole') return 8;
  return size >= 2 ** 19 ? 32 : 8;
}

/** What is read and checked beside it. */
export function checkerJob(stage: Stage, contender: Contender, round: number): Job {
  const size = Math.min(checkerPace.size, contender.regionBytes);
  return { ...jobOf(stage, contender, { ...checkerPace, size }, round + 1000), client: 'undici', checkEvery: 1 };
}
