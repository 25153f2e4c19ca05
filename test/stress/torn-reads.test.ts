/**
 * Readers and in-place writers on one region (`SOAK_SECONDS` for each engine and place: 0.5, at length 10): every page is
 * uniform, every response a snapshot, whole or broken off.
 */
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { twoInTurn } from '../support/amount.ts';
import { copyFreeEngines } from '../support/engines.ts';
import {
  type Configuration,
  checkWhole,
  missingIn,
  optionsOn,
  places,
  seconds,
  soakUntil,
} from '../support/torn-reads.ts';

const engines: readonly Engine[] = [...copyFreeEngines, 'copy'];

async function staysWhole(t: TestContext, configuration: Configuration): Promise<void> {
  await soakUntil(t, configuration, seconds, (result) => {
    checkWhole(t, result);
    return missingIn(result);
  });
}

for (const [at, engine] of engines.entries()) {
  for (const place of twoInTurn(places, at)) {
    test(
      `every response is one snapshot of what is overwritten meanwhile, by ${engine} from ${place}`,
      optionsOn(place),
      (t) => staysWhole(t, { engine, place }),
    );
  }
}
