/** How much of something a test does: `npm test` is for those who wait for it, `npm run test:long` for those who do not. @module */

/** Whether this is `npm run test:long`. */
export const isLong: boolean = process.env.PAGERELAY_TEST_LONG === '1';

/** Gives the one or the other. A number in the environment variable `name` overrides both. */
export function amount(usual: number, long: number, name?: string): number {
  const given = name === undefined ? undefined : process.env[name];
  return Number(given || (isLong ? long : usual));
}
