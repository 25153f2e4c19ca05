/** What a scenario is made of: all that users vary, each said in one place. @module */

import { writeNumber, writeSize } from '../report/text.ts';

/** How a client goes through a region. */
export const patterns = [
  'random', // Ranges at random pages.
  'sequential', // One range after the other, from a random page on.
  'zipf', // Few ranges most of the time: the rank decides how often (Zipf, exponent 1).
  'media', // A viewer: some segments in a row, then a jump.
  'parquet', // An analyst: the length of the footer, the footer, then some column chunks.
  'resume', // Breaks off in the middle and asks for the rest, with If-Range.
  'slow', // Reads slowly.
  'multi-range', // Several ranges in one request.
  'whole', // All of it, without a Range.
] as const;
export type Pattern = (typeof patterns)[number];

/** What is served. */
export type RegionsAsked = {
  /** How many regions. Default: 1. */
  readonly count?: number;
  /** Of each. Default: 64 MiB in all, but 16 KiB at least. */
  readonly bytes?: number;
  /** Which one a request is for: the next one, any, or few of them most of the time. Default: any. */
  readonly pick?: 'turn' | 'uniform' | 'zipf';
  /** Default: in memory (tmpfs). */
  readonly on?: 'disk';
};

/** What is aimed for beside another server: medians of ratios, pagerelay over it. */
export type Goal = {
  /** A word of servers/all.ts. Default: nginx-cache. */
  readonly over?: string;
  /** At least. */
  readonly requests?: number;
  /** At most. */
  readonly cpu?: number;
  readonly p99?: number;
  /** At most: what an idle connection takes beyond what one of the other takes, and of its own what is native. */
  readonly idleKibibytes?: number;
  readonly idleNativeBytes?: number;
};

/** One way to put a server under load. What is left out is as a benchmark usually has it. */
export type Scenario = {
  /** Names it in reports and on the command line. */
  readonly name: string;
  /** What it stands for, as users speak of it, in one line. */
  readonly about: string;
  readonly pattern: Pattern;
  /** Bytes of one range; of `parquet` of a column chunk, of `multi-range` of one part. `whole` ignores it. */
  readonly size: number;
  readonly connections: number;
  readonly regions?: RegionsAsked;
  /** Each request has an X-Request-Id of its own. Default: requests have no field but Host and Range. */
  readonly fields?: 'own';
  /**
   * How long a connection is kept: for so many requests, the last of which announces the end (`Connection: close`; 1:
   * each does); `dropped`: one request, closed by the client unannounced; or by HTTP/1.0. Default: for good.
   */
  readonly kept?: number | 'dropped' | 'HTTP/1.0';
  readonly method?: 'HEAD';
  /** Each request has If-None-Match with the tag of what is there: the answer is 304. */
  readonly conditional?: boolean;
  /** So many bearer tokens are known, and requests have one of them in turn. */
  readonly tokens?: number;
  /** Every server writes its access log to a file, or those of some words do. Default: none. */
  readonly log?: true | readonly string[];
  /** Default: TCP over loopback. */
  readonly socket?: 'unix';
  /** For the server; the others of the machine are the client's. Default: 1. */
  readonly processors?: number;
  /** Requests a second in all, evenly spaced, or a share of what nginx reaches in the same round; latencies are then
   * corrected for coordinated omission. Default: a closed loop. */
  readonly rate?: number | { readonly share: number };
  /** Of `slow`: what one connection reads. */
  readonly bytesPerSecond?: number;
  /** Overwrites of 64 KiB in place meanwhile, a second: a region of pagerelay that is written to, beside one that is not. */
  readonly writes?: number;
  /** A load on it lasts so long at least: a tail, or few long answers, need more than a mean of many short ones. */
  readonly leastSeconds?: number;
  /** So many connections that have had one answer and do nothing: what each takes in memory. */
  readonly idle?: number;
  /** Each region is asked for once, in turn, of a server that was started for that and has answered nothing yet. */
  readonly cold?: true;
  /** Whether every server runs it, the service under test alone, or it beside some: words of `--servers`. */
  readonly against: 'all' | 'nobody' | readonly string[];
  readonly goals?: readonly Goal[];
};

/** How long, how often, what, by whom, and which reports. */
export type Profile = {
  readonly name: string;
  readonly about: string;
  /** Of load on one server in one round. */
  readonly seconds: number;
  readonly rounds: number;
  /** Where only the service under test runs: nothing is compared there. */
  readonly roundsAlone: number;
  /** Words of servers/all.ts. */
  readonly servers: readonly string[];
  /** Scenarios that other servers run, of those that they can. Default: all. */
  readonly compared?: readonly string[];
  /** Names of scenarios, in their order. */
  readonly scenarios: readonly string[];
  /**
   * `fast`: the C client where it can, and nothing beside it; bodies are compared before the first round. `checking`:
   * autocannon and undici; a reader beside them checks all that it reads, and metrics are scraped every second.
   */
  readonly clients: 'fast' | 'checking';
  /** Before each load. */
  readonly warmUpSeconds: number;
  /** Where the Markdown goes as well. */
  readonly document?: string;
  /** All of it again until so many seconds have passed. Default: once. */
  readonly repeatForSeconds?: number;
};

/** Regions of a scenario, with what it leaves out. */
export function regionsOf({ regions = {} }: Pick<Scenario, 'regions'>) {
  const { count = 1, on = 'memory', pick = 'uniform' } = regions;
  const share = Math.max(2 ** 14, Math.floor(2 ** 26 / count / 4096) * 4096);
  return { count, bytes: regions.bytes ?? share, on, pick };
}

/** Whether each trial has servers of its own, which end with it. */
export function needsOwnServers({ idle, cold }: Scenario): boolean {
  return idle !== undefined || cold === true;
}

/** Whether a server of this word writes its access log. */
export function isLogged({ log = [] }: Pick<Scenario, 'log'>, word: string): boolean {
  return log === true || log.includes(word);
}

/** What a server must be able to do for a scenario: words that servers say they lack. */
export function needsOf(scenario: Scenario, word: string): string[] {
  const { pattern, method, conditional, tokens, socket, kept, processors = 1, writes } = scenario;
  const { count } = regionsOf(scenario);
  const asked: Record<string, boolean> = {
    'several regions': count > 1,
    'an access log': isLogged(scenario, word),
    'bearer tokens': tokens !== undefined,
    'unix sockets': socket === 'unix',
    'entity tags': conditional === true || pattern === 'resume',
    HEAD: method === 'HEAD',
    'ranges by HTTP/1.0': kept === 'HTTP/1.0',
    'several ranges in a request': pattern === 'multi-range',
    'suffix ranges': pattern === 'parquet',
    'ranges of several sizes': pattern === 'parquet' || pattern === 'resume',
    'several processors': processors > 1,
    writing: writes !== undefined,
  };
  return Object.keys(asked).filter((need) => asked[need]);
}

/** What it asks for in words: each thing that a figure depends on. */
export function conditionsInWords(scenario: Scenario): string {
  const { pattern, size, connections, method, conditional, tokens, log, socket, processors, kept, fields } = scenario;
  const { rate, writes, bytesPerSecond, idle, cold } = scenario;
  const { count, bytes, on, pick } = regionsOf(scenario);
  const picks = { turn: 'in turn', uniform: 'at random', zipf: 'by Zipf' };
  const what = pattern === 'whole' || method === 'HEAD' ? 'no Range' : `${pattern} ranges of ${writeSize(size)}`;
  const keeping = kept === 1 ? 'closed after each request (Connection: close)' : `kept for ${kept} requests`;
  const connected = idle !== undefined ? 'idle' : typeof kept === 'number' ? keeping : (kept ?? 'kept');
  const pace = typeof rate === 'object' ? `${rate.share} of nginx's peak` : rate && `${writeNumber(rate)} requests/s`;
  const all = [
    `${method ?? 'GET'}, ${what}`,
    `${writeNumber(count)} region${count > 1 ? `s ${picks[pick]}` : ''} of ${writeSize(bytes)} ${on === 'disk' ? 'on a disk' : 'in memory'}`,
    `${writeNumber(idle ?? connections)} connections, ${connected}${socket ? ', over a unix socket' : ''}`,
    fields === 'own' ? 'an X-Request-Id of its own in each request' : 'fields alike',
    conditional && 'If-None-Match (304)',
    tokens && `${tokens} bearer tokens in turn`,
    log === undefined ? 'no access log' : log === true ? 'every access log on' : `access log of ${log.join(', ')} on`,
    pace,
    cold && 'each asked for once, of a server that was just started',
    bytesPerSecond && `each reads ${writeSize(bytesPerSecond)} a second`,
    writes && `beside ${writes} overwrites a second`,
    processors && `${processors} processors`,
  ];
  return all.filter(Boolean).join('; ');
}
