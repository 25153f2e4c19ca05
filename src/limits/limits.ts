/**
 * The one table of limits: what one client, or all of them together, may cost. Flags, plugin options, the shim's limits,
 * the metric `pagerelay_limited_total` and the table in docs/operations.md follow from it, or a test compares them.
 *
 * @module
 */

/** What is counted under `pagerelay_limited_total{reason}`, and what happened each time. */
export const limitReasons = {
  connections: 'a new connection was refused: there were as many as may be, and none was idle',
  idle_closed: 'an idle connection was closed to make room for a new one',
  min_rate: 'a connection was broken off whose client took too few bytes',
  bandwidth: 'a body had to wait, for its connection or its region had the bandwidth that it may have',
  transmissions: 'a request was refused: as many bodies were on their way as may be',
  held_bytes: 'a request was refused: bodies on their way held as many bytes as they may',
  connections_per_address: 'a new connection was refused: its address had as many as it may',
  requests_per_second: 'a request was refused: its address had asked too often',
  memory: 'a connection or a request was refused: less memory was left than is kept in reserve',
  head_timeout: 'a connection was closed: the head of its request took too long',
  head_size: 'a request was refused, and its connection closed: its head was too large',
  url_size: 'a request was refused: its address was too long',
  ranges: 'a request of too many ranges was answered by the whole region',
} as const;

/** Why somebody was limited. */
export type LimitReason = keyof typeof limitReasons;

/** What the value of a limit counts. */
export type LimitUnit = 'count' | 'seconds' | 'bytes';

/** One limit. */
export type Limit = {
  /** Without the dashes. The option of the service and of the plugin is called the same, in camel case. */
  readonly flag: string;
  readonly unit: LimitUnit;
  /** What usage text says. */
  readonly meaning: string;
  /** Undefined: there is none unless somebody asks for one, or the service finds one itself (`shownDefault`). */
  readonly fallback: number | undefined;
  /** How the default is told where it is not `fallback` as it stands. */
  readonly shownDefault?: string;
  /** The least value that can be given; 0 turns the limit off. Default 0. And the most, by default `mostOfAny`. */
  readonly least?: number;
  readonly most?: number;
  /**
   * Whether it is one of each client's address. By default it does not hold for clients on the loopback or a unix socket,
   * for these are a proxy or a test; a value that is given holds for them too.
   */
  readonly perAddress?: boolean;
  /** Whether the plugin has it as an option. There it is off unless it is given, where it is one of addresses. */
  readonly inPlugin?: boolean;
  /** Under which reasons it counts. */
  readonly reasons: readonly LimitReason[];
  /** What a client gets that is beyond it, for docs/operations.md. */
  readonly answer: string;
};

/** Every limit, by the name of its option. */
export const limits = {
  maxConnections: {
    flag: 'max-connections',
    unit: 'count',
    meaning: 'how many connections may be open; beyond, the one closes that was idle longest',
    fallback: undefined,
    shownDefault: 'as many as there are descriptors for',
    least: 1,
    reasons: ['connections', 'idle_closed'],
    answer: 'the connection that was idle longest is closed; where none is idle, the new one gets 503 without a body',
  },
  minRate: {
    flag: 'min-rate',
    unit: 'bytes',
    meaning: 'how many bytes a second a reader has to take that takes any, over each --min-rate-grace',
    fallback: 256,
    reasons: ['min_rate'],
    answer: 'the connection is broken off, short of its Content-Length',
  },
  minRateGrace: {
    flag: 'min-rate-grace',
    unit: 'seconds',
    meaning: 'over how long a time --min-rate is judged, from the first byte that is taken',
    fallback: 60,
    least: 1,
    reasons: ['min_rate'],
    answer: 'see `--min-rate`',
  },
  bandwidthPerConnection: {
    flag: 'bandwidth-per-connection',
    unit: 'bytes',
    meaning: 'how many bytes of bodies a second go out by one connection',
    fallback: undefined,
    reasons: ['bandwidth'],
    answer: 'its body takes longer',
  },
  bandwidthPerRegion: {
    flag: 'bandwidth-per-region',
    unit: 'bytes',
    meaning: 'how many bytes a second go out of one region',
    fallback: undefined,
    reasons: ['bandwidth'],
    answer: 'its body takes longer',
  },
  maxTransmissions: {
    flag: 'max-transmissions',
    unit: 'count',
    meaning: 'how many bodies may be on their way, until their clients have read them',
    fallback: 100_000,
    reasons: ['transmissions'],
    answer: '503 `overloaded` with Retry-After',
  },
  maxHeldBytes: {
    flag: 'max-held-bytes',
    unit: 'bytes',
    meaning: 'how many bytes bodies on their way may hold together; one that is larger counts half of it',
    fallback: undefined,
    reasons: ['held_bytes'],
    answer: '503 `overloaded` with Retry-After',
  },
  maxConnectionsPerAddress: {
    flag: 'max-connections-per-address',
    unit: 'count',
    meaning: 'how many connections one address may have; 0: any number',
    fallback: 256,
    perAddress: true,
    reasons: ['connections_per_address'],
    answer: 'the new connection gets 429 without a body, and is closed',
  },
  requestsPerSecond: {
    flag: 'requests-per-second',
    unit: 'count',
    meaning: 'how often one address may ask; 0: any number of times',
    fallback: 1000,
    perAddress: true,
    inPlugin: true,
    reasons: ['requests_per_second'],
    answer: '429 `too-many-requests`; the connection stays',
  },
  requestBurst: {
    flag: 'request-burst',
    unit: 'count',
    meaning: 'how often at once, after it has not asked for a while',
    fallback: undefined,
    shownDefault: 'twice --requests-per-second',
    least: 1,
    inPlugin: true,
    reasons: ['requests_per_second'],
    answer: 'as above',
  },
  headTimeout: {
    flag: 'head-timeout',
    unit: 'seconds',
    meaning: 'how long the head of a request may take, from its first byte',
    fallback: 30,
    least: 1,
    reasons: ['head_timeout'],
    answer: '408 `request-timeout`, and a close',
  },
  maxHeadSize: {
    flag: 'max-head-size',
    unit: 'bytes',
    meaning: 'how long the head of a request may be, its line and its fields',
    fallback: 16_384,
    shownDefault: '16KiB',
    least: 1024,
    most: 65_536,
    reasons: ['head_size'],
    answer: '431 `headers-too-large`, and a close',
  },
  maxUrlSize: {
    flag: 'max-url-size',
    unit: 'bytes',
    meaning: 'how long the address in a request may be, as it is sent',
    fallback: 16_384,
    shownDefault: '16KiB',
    least: 64,
    most: 65_536,
    reasons: ['url_size'],
    answer: '414 `uri-too-long`',
  },
  maxRanges: {
    flag: 'max-ranges',
    unit: 'count',
    meaning: 'how many ranges of one request are answered one by one, when those that touch are one',
    fallback: 64,
    least: 1,
    most: 64,
    inPlugin: true,
    reasons: ['ranges'],
    answer: '200 with the whole region (RFC 9110 14.2)',
  },
  reserveDescriptors: {
    flag: 'reserve-descriptors',
    unit: 'count',
    meaning: 'how many descriptors connections and open files leave free, for all else',
    fallback: undefined,
    shownDefault: 'an eighth of the limit of the process, from 16 to 512',
    reasons: ['connections', 'idle_closed'],
    answer: 'as with `--max-connections`',
  },
  reserveMemory: {
    flag: 'reserve-memory',
    unit: 'bytes',
    meaning: 'below how many bytes of memory left nobody new is let in',
    fallback: undefined,
    shownDefault: 'a sixteenth of what there is, at most 64MiB',
    reasons: ['memory', 'idle_closed'],
    answer:
      '503, to a new connection without a body, to a request for a region with `busy`; what is on its way goes on',
  },
} as const satisfies Record<string, Limit>;

/** The name of a limit's option. */
export type LimitName = keyof typeof limits;

/** Limits as somebody has given them. */
export type GivenLimits = { readonly [Name in LimitName]?: number | undefined };

/** The value of each limit; 0 where there is none. */
export type Limits = { readonly [Name in LimitName]: number };

/** What holds for clients from elsewhere, and what for those on the loopback or a unix socket. */
export type LimitsByPlace = { readonly elsewhere: Limits; readonly here: Limits };

/** What a limit can be at most; bytes can be more. */
export const mostOfAny = 999_999_999;

/** The table, row by row. */
export const limitRows = Object.entries(limits) as readonly (readonly [LimitName, Limit])[];

/** No limits at all. */
export const unlimited: LimitsByPlace = settleLimits({}, () => 0);

/**
 * Puts defaults in place of what was not given.
 *
 * @param fallbackOf the default of one limit; 0 for none
 */
export function settleLimits(given: GivenLimits, fallbackOf: (limit: Limit) => number = usualFallback): LimitsByPlace {
  const values = (isHere: boolean) =>
    limitRows.map(([name, limit]) => [name, given[name] ?? (isHere && limit.perAddress ? 0 : fallbackOf(limit))]);
  return {
    elsewhere: Object.fromEntries(values(false)) as Limits,
    here: Object.fromEntries(values(true)) as Limits,
  };
}

function usualFallback({ fallback }: Limit): number {
  return fallback ?? 0;
}

/** The same with whole milliseconds in place of seconds, as the shim has it. */
export function inMilliseconds(given: Limits): Limits {
  const values = limitRows.map(([name, { unit }]) => [
    name,
    unit === 'seconds' ? Math.ceil(given[name] * 1000) : given[name],
  ]);
  return Object.fromEntries(values) as Limits;
}

/**
 * The same in an application, which limits its clients in ways of its own: those of the plugin alone, and of addresses only
 * what was given.
 */
export function settleInPlugin(given: GivenLimits): LimitsByPlace {
  const own = limitRows.filter(([, { inPlugin }]) => inPlugin);
  const fallbackOf = ({ fallback, perAddress, inPlugin }: Limit) => (inPlugin && !perAddress ? (fallback ?? 0) : 0);
  return settleLimits(Object.fromEntries(own.map(([name]) => [name, given[name]])), fallbackOf);
}
