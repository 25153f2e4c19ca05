/** Mixed traffic for a while (`SOAK_SECONDS`, by default 2, at length 30): afterwards everything is as it was before. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Engine } from '../../src/relay/relay.ts';
import { amount } from '../support/amount.ts';
import { countOpen, type Open, untilClosed } from '../support/descriptors.ts';
import { everyEngine } from '../support/engines.ts';
import { connectionsOf, outcomesOf, untilReturned } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';
import type { Played } from '../support/traffic-clients.ts';

const mebibyte = 1 << 20;
const clients = fileURLToPath(new URL('../support/traffic-clients.ts', import.meta.url));
const seconds = amount(2, 30, 'SOAK_SECONDS');
const warmSeconds = 2;
const clientsEach = 6;
const size = 6 * mebibyte + 321;

type Served = { readonly engine: Engine; readonly running: Running; readonly target: Played['targets'][number] };
type State = { readonly open: Open; readonly allocated: readonly number[]; readonly memory: number };

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function serve(t: TestContext, engine: Engine): Promise<Served> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), `${engine}.bin`, size, 171);
  const running = await startService(t, { engine, lanes: 2, maxHold: 20, regions: [file] });
  return { engine, running, target: { port: running.port, path: `/regions/${file.name}`, file: file.path } };
}

async function play(t: TestContext, served: readonly Served[], seed: number, milliseconds: number): Promise<string> {
  const played: Played = { targets: served.map(({ target }) => target), clientsEach, seed, milliseconds };
  const child = start(t, process.execPath, [clients, JSON.stringify(played)]);
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  return child.stdout().trim();
}

/** Splice keeps up to 64 pipes for their next use: so many transmissions at once leave no room for more. */
async function fillPipes(t: TestContext, { running, target }: Served): Promise<void> {
  const readers = await Promise.all(Array.from({ length: 64 }, () => RawClient.connect(t, running.port)));
  for (const client of readers) client.get(target.path);
  await until(() => running.service.relay.counters().references === readers.length, 'all are on their way');
  for (const client of readers) {
    await client.head();
    await client.hash(size);
    client.destroy();
  }
}

/** Waits until nothing is in flight, and tells what is there. */
async function settle(served: readonly Served[], atMost: Open): Promise<State> {
  for (const { running } of served) {
    await until(async () => (await connectionsOf(running)) === 0, 'the connections are closed');
    await untilReturned(running, { descriptors: 1e9, pipes: 1e9, mappings: 1e9 });
  }
  const isForgotten = ({ running }: Served) => running.service.relay.counters().reading === 0;
  await until(() => served.every(isForgotten), 'lanes read no connection');
  await untilClosed(atMost);
  collectGarbage();
  return {
    open: countOpen(),
    allocated: served.map(({ running }) => running.service.relay.counters().allocatedBytes),
    memory: process.memoryUsage.rss(),
  };
}

function checkCounts({ engine, running }: Served): void {
  const { references, heldBytes, quarantined, brokenOff, connections, transmissions } =
    running.service.relay.counters();
  assert.deepEqual([references, heldBytes, connections, brokenOff, quarantined], [0, 0, 0, 0, 0], engine);
  const outcomes = outcomesOf(running.service);
  assert.ok((outcomes.complete ?? 0) > 0 && (outcomes.aborted ?? 0) > 0, JSON.stringify(transmissions));
  assert.deepEqual([outcomes.failed, outcomes.truncated, outcomes.stalled], [undefined, undefined, undefined], engine);
}

/**
 * Bytes that what lanes do not answer for any more takes until it is swept: up to LEAST_TO_SWEEP regions that were
 * published again (native-shim/core/http/published.c), of less than 1 KiB each.
 */
const unswept = 16 * 1024;

test(`${seconds} s of mixed traffic by every engine leave nothing behind`, async (t) => {
  const seed = Date.now() % 100_000;
  t.diagnostic(`seed ${seed}`);
  const served: Served[] = [];
  for (const engine of everyEngine) served.push(await serve(t, engine));
  await play(t, served, seed, warmSeconds * 1000);
  for (const each of served) if (each.engine === 'splice') await fillPipes(t, each);
  const before = await settle(served, { descriptors: 1e9, pipes: 1e9, mappings: 1e9 });

  const done = await play(t, served, seed + 50_000, seconds * 1000);
  const after = await settle(served, before.open);
  t.diagnostic(`clients: ${done}`);
  assert.deepEqual({ ...after.open, pipes: 0 }, { ...before.open, pipes: 0 });
  assert.ok(after.open.pipes <= before.open.pipes);
  for (const [at, bytes] of after.allocated.entries()) {
    assert.ok(bytes <= (before.allocated[at] ?? 0) + unswept, `${bytes} bytes, before ${before.allocated[at]}`);
  }
  const grown = after.memory - before.memory;
  assert.ok(grown < 64 * mebibyte, `${grown} bytes more memory`);
  for (const each of served) checkCounts(each);
});
