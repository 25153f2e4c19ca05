/** What servers of comparisons have alike: what they are told, in one argument. @module */

/** A folder to serve, where to listen, the file of an access log, and tokens (none: nobody needs one). */
export type Told = {
  readonly folder: string;
  readonly port: number;
  readonly socketPath?: string;
  readonly logFile?: string;
  readonly tokens: readonly string[];
};

/** @see Told */
export const told = JSON.parse(process.argv[2] ?? '{}') as Told;

const known = new Set(told.tokens.map((token) => `Bearer ${token}`));

/** Whether whoever sends this Authorization may read. */
export function isKnown(authorization: string | undefined): boolean {
  return known.size === 0 || known.has(authorization ?? '');
}
