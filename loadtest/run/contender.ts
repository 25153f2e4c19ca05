/** A server as the harness sees it, whoever started it, and what clients are told of it. @module */

import { request } from 'undici';
import type { Writer } from '../clients/client-process.ts';
import type { Asked, ClientKind, Contact, Job } from '../clients/job.ts';
import { authorization, pathOf } from '../model/request.ts';
import { type Profile, regionsOf, type Scenario } from '../model/scenario.ts';
import { writeSize } from '../report/text.ts';
import type { Scraper } from '../scrape/scraper.ts';

/** Under load in turn with others. */
export type Contender = Contact & {
  readonly name: string;
  /** What it is, with versions: one phrase. */
  readonly about: string;
  /** Undefined where it runs elsewhere. */
  readonly pid: number | undefined;
  /** Undefined where it has no metrics of ours. */
  readonly scraper: Scraper | undefined;
  readonly writer: Writer | undefined;
};

/** autocannon is used for ranges up to that: beyond it, what it does for each byte is most of what is measured. */
export const autocannonLargest = 2 ** 18;

const plain: readonly Scenario['pattern'][] = ['random', 'sequential', 'zipf', 'whole'];

/** `HTTP/1.0` is no client's but the one in C. */
export function clientFor(scenario: Omit<Asked, 'regions'>, clients: Profile['clients']): ClientKind {
  const { pattern, size, kept, rate } = scenario;
  const isPlain = plain.includes(pattern);
  if (kept === 'HTTP/1.0' || kept === 'dropped') return 'c';
  if (clients === 'fast' && isPlain) return 'c';
  // autocannon counts no answer whose connection it closes (reconnectRate), and sends the requests of a second in a row
  // at its beginning, where a rate is to be even.
  const isForAutocannon = isPlain && pattern !== 'whole' && kept === undefined && rate === undefined;
  return isForAutocannon && size <= autocannonLargest ? 'autocannon' : 'undici';
}

/** Which client made what. */
export function clientsInWords(clients: Profile['clients']): string {
  if (clients === 'fast')
    return "loadtest/client, in C (client 'c'), made the requests, but for patterns that depend on answers: those undici made";
  return `autocannon made the requests for ranges of up to ${writeSize(autocannonLargest)} on kept-alive connections over TCP without a fixed rate, undici all others, but that new connections without a word of it and HTTP/1.0 are loadtest/client's, in C (column "client")`;
}

/** How long, and how many at most. */
export type Bounds = { readonly seconds: number; readonly most: number; readonly clients: Profile['clients'] };

/** A load on a contender. */
export function jobOf(
  contender: Contender,
  asked: Asked,
  bounds: Bounds,
  seed: number,
  etags: readonly string[] = [],
): Job {
  const { name: _, about, pid, scraper, writer, ...contact } = contender;
  const client = clientFor(asked, bounds.clients);
  return {
    ...contact,
    client: client === 'autocannon' && contact.socketPath !== undefined ? 'undici' : client,
    ...{ host: contact.origin.slice('http://'.length), etags, seed, seconds: bounds.seconds, most: bounds.most },
    scenario: asked,
    // About as many bytes whatever the size: sha-256 costs more than the rest of a client.
    checkEvery: asked.pattern !== 'whole' && asked.size >= 2 ** 19 ? 32 : 8,
  };
}

const checkerPace = { pattern: 'random', size: 2 ** 18, connections: 2, rate: 20 } as const;

/** What is read and checked beside a load. */
export function checkerJob(contender: Contender, { regions }: Scenario, bounds: Bounds, round: number): Job {
  const size = Math.min(checkerPace.size, contender.regionBytes);
  const asked = { ...checkerPace, size, ...(regions && { regions }) };
  return { ...jobOf(contender, asked, bounds, round + 1000), client: 'undici', checkEvery: 1 };
}

/** The entity tags of the regions of a scenario, by their numbers. */
export async function tagsOf(contender: Contender, scenario: Scenario): Promise<string[]> {
  const tags: string[] = [];
  const headers = authorization(contender.tokens[0]);
  for (let region = 0; region < regionsOf(scenario).count; region++) {
    const answer = await request(contender.origin + pathOf(contender, region), { method: 'HEAD', headers });
    await answer.body.dump();
    tags.push(String(answer.headers.etag));
  }
  return tags;
}
