/**
 * The same readers and writers with a wrong done rule, with overwrites of pages in flight as they are, and with nothing kept
 * of what readers were not sent: it would be seen.
 */
import { type TestContext, test } from 'node:test';
import { inTurn } from '../support/amount.ts';
import { copyFreeEngines } from '../support/engines.ts';
import { findFaults } from '../support/snapshots.ts';
import { type Configuration, optionsOn, places, rulesOf, soakUntil, summaryOf } from '../support/torn-reads.ts';

async function isTorn(t: TestContext, configuration: Configuration): Promise<void> {
  await soakUntil(t, configuration, 1, (result) => {
    t.diagnostic(summaryOf(result));
    const rules = rulesOf(findFaults(result));
    t.diagnostic(`faults: ${JSON.stringify(rules)}`);
    return (rules['from the future'] ?? 0) > 0 ? [] : ['pages that were overwritten behind a reader'];
  });
}

for (const engine of inTurn(copyFreeEngines, 0)) {
  test(`torn reads are found where pages are released when the socket has taken them, by ${engine} from ext4`, (t) =>
    isTorn(t, { engine, place: 'ext4', wrong: { releaseWhenAccepted: true, meansWork: false } }));
}

for (const [at, place] of places.entries()) {
  for (const engine of inTurn(copyFreeEngines, at + 1)) {
    test(
      `torn reads are found where an overwrite leaves readers without what they were not sent, by ${engine} from ${place}`,
      optionsOn(place),
      (t) => isTorn(t, { engine, place, wrong: { keepNothing: true } }),
    );
  }
}

for (const [at, place] of places.entries()) {
  for (const engine of inTurn(copyFreeEngines, at)) {
    test(
      `torn reads are found where an overwrite writes to pages in flight, by ${engine} from ${place}`,
      optionsOn(place),
      (t) => isTorn(t, { engine, place, wrong: { overwritesPages: true } }),
    );
  }
}
