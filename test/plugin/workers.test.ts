/** Applications with the plugin in worker threads. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { serveModel, startApp } from '../support/app.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { countLanes } from '../support/lanes.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';
import { warmProcess } from '../support/warm-process.ts';

const mebibyte = 1 << 20;
const script = new URL('../support/app-worker.ts', import.meta.url);

type Serving = { readonly worker: Worker; readonly port: number; readonly exited: Promise<unknown> };

function makeDir(t: TestContext, size: number): { dir: string; file: RegionFile } {
  const dir = makeFolder(t, 'tmpfs');
  return { dir, file: writeRegion(dir, 'model.bin', size, 111) };
}

async function startWorker(t: TestContext, dir: string): Promise<Serving> {
  const worker = new Worker(script, { workerData: { dir } });
  t.after(() => worker.terminate());
  const exited = once(worker, 'exit');
  const [port] = (await once(worker, 'message')) as [number];
  return { worker, port, exited };
}

async function checkRange(t: TestContext, port: number, file: RegionFile, last: number): Promise<void> {
  const client = await RawClient.connect(t, port);
  for (const path of ['/mine', '/regions/model.bin']) {
    client.get(path, `1-${last}`);
    assert.equal((await client.head()).status, 206);
    assert.equal(await client.hash(last), sha256OfFile(file.path, 1, last));
  }
  client.destroy();
}

before(warmProcess);

test('an application in a worker thread serves right bytes and closes', async (t) => {
  const { dir, file } = makeDir(t, 3 * mebibyte);
  const opened = countOpen();
  const lanes = countLanes();
  const { worker, port, exited } = await startWorker(t, dir);
  for (const last of [99, 60_000, 3 * mebibyte - 1]) await checkRange(t, port, file, last);
  worker.postMessage('close');
  assert.deepEqual(await exited, [0], 'nothing keeps the thread alive');
  await untilClosed(opened);
  await until(() => countLanes() <= lanes, 'its lane is gone');
});

test('a worker that is terminated in mid-body leaves the others whole', async (t) => {
  const { dir, file } = makeDir(t, 40 * mebibyte);
  const opened = countOpen();
  const main = await startApp(t, { dir }, serveModel);
  const [stays, ends] = await Promise.all([startWorker(t, dir), startWorker(t, dir)]);
  const clients = await Promise.all([ends, ends, ends].map(({ port }) => RawClient.connect(t, port)));
  for (const client of clients) {
    client.get('/mine');
    await client.take(mebibyte);
  }
  await ends.worker.terminate();
  for (const client of clients) {
    assert.ok((await client.rest()).bytes < file.size - mebibyte, 'the body is short');
    client.destroy();
  }
  await checkRange(t, stays.port, file, 2 * mebibyte);
  await checkRange(t, main.port, file, 2 * mebibyte);
  stays.worker.postMessage('close');
  assert.deepEqual(await stays.exited, [0]);
  await main.app.close();
  await untilClosed(opened);
});
