/** What identifies a region's content, over changes and over the ends of the service. */
import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { amount, inTurn } from '../../support/amount.ts';
import { slack } from '../../support/limits.ts';
import { until } from '../../support/poll.ts';
import { type Child, originOf, startCli } from '../../support/process.ts';
import { RawClient } from '../../support/raw.ts';
import { type Place, seededBytes, writeRegion } from '../../support/regions.ts';
import { type Change, change, overwriting } from '../../support/requests.ts';
import type { Scope } from '../../support/scope.ts';
import { makeTree, read, type Seen, send, startWritable } from '../../support/writable.ts';

const size = 50_000;
const path = '/regions/file.bin';
const restarts = amount(2, 3);
const names = ['made', 'typed', 'replaced', 'overwritten', 'resized', 'found'];

type Served = { readonly child: Child; readonly port: number };

async function serve(scope: Scope, dir: string): Promise<Served> {
  const child = startCli(scope, ['serve', '--dir', dir, '--writable', '--port', '0', '--log-level', 'warn']);
  return { child, port: Number(new URL(await originOf(child)).port) };
}

async function end({ child }: Served, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  child.process.kill(signal);
  const clean = { code: 0, signal: null };
  assert.deepEqual(await child.exited, signal === 'SIGTERM' ? clean : { code: null, signal }, child.stdout());
}

function resizing(name: string, to: number): Change {
  const fields = { 'content-type': 'application/merge-patch+json' };
  return { method: 'PATCH', path: `/regions/${name}`, fields, body: Buffer.from(JSON.stringify({ size: to })) };
}

/** Changes regions in all ways there are, but for the one that others have made. */
async function changeAll(t: TestContext, served: Served): Promise<void> {
  const fields = { 'content-type': 'text/x-test' };
  const requests: Change[] = names
    .slice(0, -1)
    .map((name) => ({ method: 'PUT', path: `/regions/${name}`, body: seededBytes(size, 5) }));
  requests.push({ method: 'PUT', path: '/regions/typed', fields, body: Buffer.from('abc') });
  requests.push({ method: 'PUT', path: '/regions/replaced', body: seededBytes(size, 6) });
  requests.push(overwriting('/regions/overwritten', 100, Buffer.from('abc'), slack));
  requests.push(overwriting('/regions/overwritten', 200, Buffer.from('abc'), slack));
  requests.push(overwriting('/regions/typed', 1, Buffer.from('x'), slack));
  requests.push(resizing('resized', 10), resizing('resized', 20_000));
  for (const request of requests) {
    const { status } = await send(t, served, request);
    assert.ok(status === 201 || status === 204, `${request.method} ${request.path}: ${status}`);
  }
}

async function readAll(t: TestContext, served: Served): Promise<Record<string, Seen>> {
  const seen: Record<string, Seen> = {};
  for (const name of names) seen[name] = await read(t, served, name);
  return seen;
}

const places = ['tmpfs', 'ext4'] as const;

for (const place of inTurn(places, 0)) {
  test(`a restart alone changes no entity-tag and no type, on ${place}`, async (t) => {
    const { dir, scope } = makeTree(t, place);
    writeRegion(dir, 'found', size, 3);
    let served = await serve(scope, dir);
    await changeAll(t, served);
    let before = await readAll(t, served);
    for (let restart = 0; restart < restarts; restart++) {
      await end(served, 'SIGTERM');
      served = await serve(scope, dir);
      assert.deepEqual(await readAll(t, served), before);
      const typed = await send(t, served, { method: 'GET', path: '/regions/typed' });
      assert.equal(typed.fields.get('content-type'), 'text/x-test');
      const more = await send(t, served, overwriting('/regions/overwritten', restart, Buffer.from('x'), slack));
      assert.notEqual(more.fields.get('etag'), before.overwritten?.etag);
      before = await readAll(t, served);
    }
    await end(served, 'SIGTERM');
  });
}

for (const place of inTurn(places, 1)) {
  test(`after a kill what was changed in place has a tag that was never shown, on ${place}`, async (t) => {
    const { dir, scope } = makeTree(t, place);
    writeRegion(dir, 'found', size, 3);
    const shown = new Set<string>();
    let served = await serve(scope, dir);
    await changeAll(t, served);
    for (let restart = 0; restart < restarts; restart++) {
      const before = await readAll(t, served);
      for (const { etag } of Object.values(before)) shown.add(etag);
      await end(served, 'SIGKILL');
      served = await serve(scope, dir);
      const after = await readAll(t, served);
      for (const name of names) {
        assert.equal(after[name]?.sha256, before[name]?.sha256, name);
        const inPlace = name === 'overwritten' || (restart === 0 && (name === 'typed' || name === 'resized'));
        if (inPlace) assert.ok(!shown.has(after[name]?.etag ?? ''), `${name} has a new one`);
        else assert.equal(after[name]?.etag, before[name]?.etag, `${name} keeps its own`);
      }
      const next = await send(t, served, overwriting('/regions/overwritten', restart, Buffer.from('x'), slack));
      assert.ok(!shown.has(next.fields.get('etag') ?? ''));
    }
    await end(served, 'SIGTERM');
  });
}

async function modified(client: RawClient): Promise<{ date: string; etag: string }> {
  const { fields } = await change(client, { method: 'GET', path, fields: { range: 'bytes=0-0' } });
  return { date: fields.get('last-modified') ?? '', etag: fields.get('etag') ?? '' };
}

async function statusWithIfRange(client: RawClient, validator: string): Promise<number> {
  const fields = { range: 'bytes=1-2', 'if-range': validator };
  return (await change(client, { method: 'GET', path, fields })).status;
}

async function checkDates(t: TestContext, place: Place): Promise<void> {
  const running = await startWritable(t, place);
  const file = writeRegion(running.dir, 'file.bin', size, 1);
  const longAgo = new Date('2020-02-02T02:02:02Z');
  utimesSync(file.path, longAgo, longAgo);
  const client = await RawClient.connect(t, running.port);
  const before = await modified(client);
  assert.equal(before.date, longAgo.toUTCString());
  assert.equal(await statusWithIfRange(client, before.date), 206, 'the date of a file that is at rest is strong');

  assert.equal((await change(client, overwriting(path, 0, Buffer.from('x'), slack))).status, 204);
  const after = await modified(client);
  assert.ok(Date.parse(after.date) > longAgo.getTime(), 'Last-Modified moves');
  assert.equal(await statusWithIfRange(client, before.date), 200);
  assert.equal(await statusWithIfRange(client, before.etag), 200);
  assert.equal(await statusWithIfRange(client, after.etag), 206);
  // A date is weak for a second in any case.
  const old = () => Date.now() - Date.parse(after.date) > 2100;
  await until(old, 'the date is old enough to be a strong one');
  assert.equal(await statusWithIfRange(client, after.date), 200, 'but never again that of a region written in place');
}

for (const place of places) {
  test(`an overwrite moves Last-Modified, which no If-Range holds by any more, on ${place}`, (t) =>
    checkDates(t, place));
}

test('a region that is made anew has another entity-tag, whatever its bytes', async (t) => {
  const running = await startWritable(t);
  const tags = new Set<string>();
  const body = Buffer.from('the same');
  for (let turn = 0; turn < 4; turn++) {
    const { fields } = await send(t, running, { method: 'PUT', path, body });
    tags.add(fields.get('etag') ?? '');
    if (turn % 2 === 0) assert.equal((await send(t, running, { method: 'DELETE', path })).status, 204);
  }
  assert.equal(tags.size, 4);
  assert.ok(!tags.has(''));
});
