/** A service on a unix socket: what its clients get, and what becomes of the socket's file. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { until } from '../support/poll.ts';
import { type Child, startCli } from '../support/process.ts';
import { bytesOf, makeFolder, type RegionFile, writeRegion } from '../support/regions.ts';

function makePlace(t: TestContext): { readonly file: RegionFile; readonly socketPath: string } {
  const folder = makeFolder(t, 'tmpfs');
  return { file: writeRegion(folder, 'file.bin', 3_000_000, 401), socketPath: join(folder, 'a b.sock') };
}

function serve(
  t: TestContext,
  { file, socketPath }: ReturnType<typeof makePlace>,
  flags: readonly string[] = [],
): Child {
  const args = ['serve', '--host', `unix:${socketPath}`, '--region', `file.bin=${file.path}`, '--drain', '5', ...flags];
  return startCli(t, args);
}

async function untilListening(child: Child): Promise<void> {
  await until(
    () => child.stderr().includes('curl'),
    'it listens',
    () => [child.stdout(), child.stderr()],
  );
}

async function get(socketPath: string, path: string, headers: Record<string, string> = {}) {
  const asked = request({ socketPath, path, headers }).end();
  const { promise, resolve, reject } = Promise.withResolvers<import('node:http').IncomingMessage>();
  asked.once('response', resolve);
  asked.once('error', reject);
  const response = await promise;
  return { status: response.statusCode, fields: response.headers, body: await buffer(response) };
}

test('ranges, lists and metrics are served, by whatever Host, and a client is called unix: in the log', async (t) => {
  const place = makePlace(t);
  const child = serve(t, place, ['--access-log-format', 'combined']);
  await untilListening(child);
  assert.match(child.stderr(), new RegExp(`^pagerelay listens on unix:${place.socketPath}$`, 'm'));
  for (const [first, last] of [
    [0, 99],
    [1, 2_999_999],
  ] as const) {
    const headers = { host: 'outer.example', range: `bytes=${first}-${last}` };
    const { status, body } = await get(place.socketPath, '/regions/file.bin', headers);
    assert.equal(status, 206);
    assert.ok(body.equals(bytesOf(place.file.path, first, last)));
  }
  const list = await get(place.socketPath, '/regions');
  assert.match(list.body.toString(), /"file.bin"/);
  assert.match((await get(place.socketPath, '/metrics')).body.toString(), /^pagerelay_build_info/m);
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  assert.match(child.stdout(), /^unix: - - \[.*\] "GET \/regions\/file\.bin HTTP\/1\.1" 206 100 /m);
  assert.equal(existsSync(place.socketPath), false, 'its file is gone');
});

test('the socket of a service that was killed is replaced; one that is listened to, and another file, are not', async (t) => {
  const place = makePlace(t);
  const killed = serve(t, place);
  await untilListening(killed);
  killed.process.kill('SIGKILL');
  await killed.exited;
  assert.ok(lstatSync(place.socketPath).isSocket());
  const child = serve(t, place);
  await untilListening(child);
  const second = serve(t, place);
  assert.equal((await second.exited).code, 1);
  assert.match(second.stderr(), /another process listens there/);
  assert.equal((await get(place.socketPath, '/healthz')).status, 200, 'the first goes on');
  const other = { ...place, socketPath: `${place.socketPath}.txt` };
  writeFileSync(other.socketPath, 'mine');
  const third = serve(t, other);
  assert.equal((await third.exited).code, 1);
  assert.match(third.stderr(), /no socket/);
  assert.equal(readFileSync(other.socketPath, 'utf8'), 'mine');
});

test('--socket-mode says who may connect, and writing needs no token', async (t) => {
  const place = makePlace(t);
  const dir = makeFolder(t, 'tmpfs');
  const child = serve(t, place, ['--socket-mode', '660', '--dir', dir, '--writable']);
  await untilListening(child);
  assert.equal(lstatSync(place.socketPath).mode & 0o777, 0o660);
});
