/** How much of something a test does: `npm test` is for those who wait for it, `npm run test:long` for those who do not. @module */

/** Whether this is `npm run test:long`. */
export const isLong: boolean = process.env.PAGERELAY_TEST_LONG === '1';

/**
 * All of them at length; otherwise one, another for each `at`: where cases are crossed with more of them than a table
 * needs, such as engines with places, each still occurs.
 */
export function inTurn<Item>(all: readonly Item[], at: number): readonly Item[] {
  return isLong ? all : all.slice(at % all.length, (at % all.length) + 1);
}

/** All of them at length; otherwise two that lie apart, others for each `at`. */
export function twoInTurn<Item>(all: readonly Item[], at: number): readonly Item[] {
  return isLong ? all : all.filter((_, place) => place === at % all.length || place === (at + 2) % all.length);
}

/** Gives the one or the other. A number in the environment variable `name` overrides both. */
export function amount(usual: number, long: number, name?: string): number {
  const given = name === undefined ? undefined : process.env[name];
  return Number(given || (isLong ? long : usual));
}
