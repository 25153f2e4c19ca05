/**
 * How long tests wait, in one place. None of it says how long anything takes: a busy machine takes many times as long.
 *
 * @module
 */

/** Milliseconds after which what a test waits for counts as not to come. Below the time limit of a test (package.json). */
export const patience = 120_000;

/** Seconds that a busy machine may add to a wait that is bounded. */
export const slack = 60;

/** Seconds that no test waits for: who did wait for them would be found out by the time limit of the test. */
export const endless = 3600;

/** Milliseconds from the start of a property's first failure in which a smaller one is looked for. */
export const shrinkMilliseconds = 60_000;
