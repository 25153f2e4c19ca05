/** The examples run as they say, and serve right bytes: tests of a built package. @module */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runIn } from '../support/package-copy.ts';
import { until } from '../support/poll.ts';
import { type Child, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';

const mebibyte = 1 << 20;

type Running = { readonly child: Child; readonly port: number; readonly file: RegionFile };

async function startExample(t: TestContext, copy: string, path: string): Promise<Running> {
  const folder = makeFolder(t, 'tmpfs');
  const file = writeRegion(folder, 'model.bin', 3 * mebibyte, 181);
  const child = start(t, process.execPath, [join(copy, path), folder], { PORT: '0' });
  const listening = /listening at http:\/\/127\.0\.0\.1:(\d+)/;
  await until(
    () => listening.test(child.stdout()),
    'the example listens',
    () => child.stdout() + child.stderr(),
  );
  return { child, file, port: Number(listening.exec(child.stdout())?.[1]) };
}

async function checkWeights(client: RawClient, file: RegionFile, servedBy: string): Promise<void> {
  client.get('/weights/model.bin', '4096-8191');
  const { status, fields, body } = await client.response();
  assert.equal(status, 206, body.toString());
  assert.ok(body.equals(bytesOf(file.path, 4096, 8191)));
  assert.equal(fields.get('cache-control'), 'public, max-age=31536000, immutable');
  assert.equal(fields.get('x-served-by'), servedBy);
  client.get('/weights/model.bin');
  assert.equal((await client.head()).status, 200);
  assert.equal(await client.hash(file.size), sha256OfFile(file.path, 0, file.size - 1));
  client.get('/weights/none');
  assert.equal((await client.response()).status, 404);
}

async function stop({ child }: Running, client: RawClient): Promise<void> {
  client.destroy();
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
}

/** @param copy where the package is built by the time that tests run */
export function testExamples(copy: () => string): void {
  test('the application in TypeScript serves weights by its own route', async (t) => {
    const running = await startExample(t, copy(), 'examples/plugin-app/app.ts');
    const client = await RawClient.connect(t, running.port);
    await checkWeights(client, running.file, 'plugin-app');
    client.get('/held');
    const held = JSON.parse((await client.response()).body.toString()) as { sentBytes: Record<string, number> };
    const sent = Object.values(held.sentBytes).reduce((sum, bytes) => sum + bytes, 0);
    assert.equal(sent, 4096 + running.file.size);
    client.get('/regions/model.bin');
    assert.equal((await client.response()).status, 404, "pagerelay's own routes are off");
    await stop(running, client);
  });

  test('the application in JavaScript serves weights by its own route and by those of pagerelay', async (t) => {
    const running = await startExample(t, copy(), 'examples/javascript/app.js');
    const client = await RawClient.connect(t, running.port);
    await checkWeights(client, running.file, 'javascript');
    client.get('/files/regions/model.bin', '10-99');
    assert.ok((await client.response()).body.equals(bytesOf(running.file.path, 10, 99)));
    client.get('/files/metrics');
    assert.match((await client.response()).body.toString(), /^pagerelay_sent_bytes_total\{engine="\w+"\} [1-9]/m);
    await stop(running, client);
  });

  test('the application in TypeScript is typed against the published declarations', async () => {
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
    await runIn(copy(), 'tsc', '--ignoreConfig', ...flags, '--skipLibCheck', 'examples/plugin-app/app.ts');
  });
}
