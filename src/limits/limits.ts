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
  /** The least value that can be given; 0 turns the limit off. Default 0. */
  readonly least?: number;
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
} as const satisfies Record<string, Limit>;

/** The name of a limit's option. */
export type LimitName = keyof typeof limits;

/** Limits as somebody has given them. */
export type GivenLimits = { readonly [Name in LimitName]?: number | undefined };

/** The value of each limit; 0 where there is none. */
export type Limits = { readonly [Name in LimitName]: number };

/** What holds for clients from elsewhere, and what for those on the loopback or a unix socket. */
export type LimitsByPlace = { readonly elsewhere: Limits; readonly here: Limits };

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
