/** The add-on in several threads of one process, each with a relay of its own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Engine } from '../../src/relay/relay.ts';
import { twoInTurn } from '../support/amount.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { everyEngine } from '../support/engines.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';
import { warmProcess } from '../support/warm-process.ts';

const mebibyte = 1 << 20;
const script = new URL('../support/serving-worker.ts', import.meta.url);

type Serving = { readonly worker: Worker; readonly port: number };

async function startWorker(t: TestContext, engine: Engine, file: RegionFile): Promise<Serving> {
  const worker = new Worker(script, { workerData: { engine, regions: [file], lanes: 2 } });
  t.after(() => worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  return { worker, port };
}

async function fetchRange(t: TestContext, port: number, file: RegionFile): Promise<void> {
  const client = await RawClient.connect(t, port);
  client.get(`/regions/${file.name}`, '1-3000000');
  assert.equal(sha256((await client.response()).body), sha256OfFile(file.path, 1, 3_000_000));
  client.destroy();
}

async function terminateInMidSend(t: TestContext, engine: Engine): Promise<void> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 24 * mebibyte, 95);
  const main = await startService(t, { engine, regions: [file] });
  const workers = await Promise.all([startWorker(t, engine, file), startWorker(t, engine, file)]);
  for (const { port } of [...workers, main]) await fetchRange(t, port, file);

  const clients = await Promise.all(
    workers.flatMap(({ port }) => [port, port]).map((port) => RawClient.connect(t, port)),
  );
  for (const client of clients) {
    client.get('/regions/file.bin');
    await client.take(mebibyte);
  }
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
  for (const client of clients) {
    const { bytes } = await client.rest();
    assert.ok(bytes < file.size - mebibyte, 'the body is short');
    client.destroy();
  }
  await fetchRange(t, main.port, file);
  await main.close();
}

before(warmProcess);

for (const engine of twoInTurn(everyEngine, 0)) {
  test(`threads that end in mid-send leave the process whole, by ${engine}`, async (t) => {
    const opened = countOpen();
    await terminateInMidSend(t, engine);
    await untilClosed(opened);
  });
}
