/** What runs clean-ups at its end: a test. */
export type Scope = { after(cleanUp: () => unknown): void };
