/** What happened from one snapshot to the next, by the second. @module */

const engines = ['sendfile', 'splice', 'zerocopy', 'copy', 'stream'];

/** What is shown is the mean of so long: calm, and still now. */
const windowSeconds = 1.5;

/** Turns counts since the start into rates. */
export class Rates {
  #earlier = [];

  /** @returns {undefined | {bytes: number, engines: Record<string, number>, responses: number, busy: Map<string, number>}} */
  next({ at, totals, threads }) {
    const last = this.#earlier.at(-1);
    // Another run of the service counts from zero again.
    if (last && (at < last.at || totals.responses < last.totals.responses)) this.#earlier = [];
    while (this.#earlier.length > 1 && at - this.#earlier[1].at >= windowSeconds * 1000) this.#earlier.shift();
    const [before] = this.#earlier;
    this.#earlier.push({ at, totals, threads });
    if (!before || at === before.at) return undefined;
    const rate = (now, then) => Math.max(0, now - then) / ((at - before.at) / 1000);
    const byEngine = engines.map((name) => [name, rate(totals.sentBytes[name], before.totals.sentBytes[name])]);
    const used = new Map(before.threads.map(({ name, cpuSeconds }) => [name, cpuSeconds]));
    return {
      bytes: byEngine.reduce((sum, [, bytes]) => sum + bytes, 0),
      engines: Object.fromEntries(byEngine),
      responses: rate(totals.responses, before.totals.responses),
      busy: new Map(threads.map(({ name, cpuSeconds }) => [name, rate(cpuSeconds, used.get(name) ?? cpuSeconds)])),
    };
  }
}
