/** Regions of any name: served, listed, written, logged and measured, and nobody takes one name for another. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse as parseDisposition } from 'content-disposition';
import fc from 'fast-check';
import { decodeName, encodeName, isRegionName } from '../../src/region/name.ts';
import { amount } from '../support/amount.ts';
import { startApp } from '../support/app.ts';
import { shrunkBriefly } from '../support/brief-shrinking.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf, startCli } from '../support/process.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder } from '../support/regions.ts';
import { type Change, change } from '../support/requests.ts';
import { type Running, startService } from '../support/service.ts';
import { makeTree, refusalIn, send, startWritable } from '../support/writable.ts';

/** Names of real files that were once refused, and such as break what is careless. */
const names: readonly string[] = [
  'temp.zarr/.zgroup',
  'year=2024/p.parquet',
  'torch-2.1+cu118.whl',
  'Movie (2019) [1080p].mp4',
  'Bühne.flac',
  'Bu\u0308hne.flac', // another name than the one before
  'icon@2x.png',
  'sha256:ab',
  'a b',
  '100%.txt',
  '%2e%2e',
  'a%2Fb',
  '.env',
  '...',
  '.pagerelay2',
  'sub/.pagerelay/lock',
  'a "quoted" \\ backslash\nand a line end',
  '\u0001\u007f\u0085\u2028\u202e',
  '<b onclick="x">&amp;',
  "it's $(HOME) `x` ;#?&*",
  '-rf',
  '~',
  '日本語/ファイル',
  '\ufffd',
  ' leading and trailing ',
  'a\rb\tc',
];

const listed = ({ body }: RawResponse) =>
  (JSON.parse(body.toString()) as { regions: { name: string }[] }).regions.map(({ name }) => name);

async function get(t: TestContext, running: Pick<Running, 'port'>, path: string): Promise<RawResponse> {
  return send(t, running, { method: 'GET', path });
}

function writeAll(dir: string): void {
  for (const name of names) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), `the content of ${name}`);
  }
}

async function readAll(t: TestContext, running: Running): Promise<void> {
  for (const name of names) {
    const { status, body } = await get(t, running, `/regions/${encodeName(name)}`);
    assert.deepEqual([status, body.toString()], [200, `the content of ${name}`], name);
    const escaped = Buffer.from(name).toString('hex').replaceAll(/../g, '%$&');
    assert.equal((await get(t, running, `/regions/${escaped}`)).body.toString(), `the content of ${name}`);
  }
  assert.deepEqual(listed(await get(t, running, '/regions')).sort(), [...names].sort());
}

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`files of any name on ${place} are served and listed`, async (t) => {
    const { dir, scope } = makeTree(t, place);
    writeAll(dir);
    await readAll(t, await startService(scope, { dir }));
  });
}

test('the portable relay serves and lists files of any name', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeAll(dir);
  const before = process.env.PAGERELAY_PORTABLE;
  process.env.PAGERELAY_PORTABLE = '1';
  const running = await startService(scope, { dir });
  if (before === undefined) delete process.env.PAGERELAY_PORTABLE;
  else process.env.PAGERELAY_PORTABLE = before;
  await readAll(t, running);
});

test('a file whose name is not UTF-8 is neither served nor listed, and harms nobody', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const inTree = (...bytes: number[]) => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(bytes)]);
  writeFileSync(inTree(0x61, 0xff), 'no name');
  writeFileSync(inTree(0xff), 'no name');
  writeFileSync(inTree(0xfe), 'no name');
  mkdirSync(inTree(0xc0, 0xaf));
  writeFileSync(inTree(0xc0, 0xaf, 0x2f, 0x61), 'in a folder without a name');
  writeFileSync(join(dir, '\ufffd'), 'a name, though others are read as it');
  writeFileSync(join(dir, 'plain'), 'plain');
  const running = await startService(scope, { dir });
  assert.deepEqual(listed(await get(t, running, '/regions')), ['plain', '\ufffd']);
  for (const path of ['a%ff', '%ff', '%c0%af/a', 'a%ef%bf%bd']) {
    assert.deepEqual(refusalIn(await get(t, running, `/regions/${path}`)), [404, 'region-not-found'], path);
  }
  assert.equal((await get(t, running, '/regions/plain')).body.toString(), 'plain');
});

test("an application sends regions of any name by sendRegion, and none of the service's own files", async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeAll(dir);
  let name = '';
  const { app } = await startApp(scope, { dir, writable: true }, (app) => {
    app.get('/mine', (_, reply) => reply.sendRegion(name, { contentDisposition: 'attachment' }));
  });
  for (name of names) {
    const { statusCode, body, headers } = await app.inject('/mine');
    assert.deepEqual([statusCode, body], [200, `the content of ${name}`], name);
    const { parameters } = parseDisposition(String(headers['content-disposition']));
    assert.equal(parameters.filename, basename(name));
  }
  const own = ['.pagerelay/lock', '.pagerelay', '.pagerelay/tmp/x', './.pagerelay/lock', 'sub/../.pagerelay/lock'];
  for (name of [...own, '..', '../x', '', '/', `${dir}/a b`, 'a\0b', 'x'.repeat(5000), '\ud800']) {
    const { statusCode, headers } = await app.inject('/mine');
    assert.deepEqual([statusCode, headers['content-disposition']], [404, undefined], name.slice(0, 50));
  }
});

/** As long as names can be, in segments as long as a file system takes them. */
const longest = (character: string) => [255, 255, 255, 254, 1].map((length) => character.repeat(length)).join('/');

// JSON writes six bytes for each \u0001: sidecars and the notes of overwrites have room for it.
for (const [what, name] of Object.entries({ letters: longest('n'), 'control characters': longest('\u0001') })) {
  test(`a name of 1,024 ${what} is made, changed, leased, kept over a restart and removed`, async (t) => {
    assert.equal(Buffer.byteLength(name), 1024);
    const { dir, scope } = makeTree(t, 'tmpfs');
    const running = await startWritable(scope, 'tmpfs', { dir });
    const path = `/regions/${encodeName(name)}`;
    const say = (request: Omit<Change, 'path'>) => send(t, running, { path, ...request });
    const fields = { 'content-type': 'image/png' };
    const made = await say({ method: 'PUT', body: Buffer.from('0123456789'), fields });
    assert.deepEqual([made.status, made.fields.get('location')], [201, path]);
    const part = { 'content-range': 'bytes 1-3/*' };
    assert.equal((await say({ method: 'PUT', body: Buffer.from('abc'), fields: part })).status, 204);
    const type = { 'content-type': 'application/merge-patch+json' };
    assert.equal((await say({ method: 'PATCH', body: Buffer.from('{"size":9}'), fields: type })).status, 204);
    const lease = Buffer.from(JSON.stringify({ region: name, first: 0, last: 1, ttlSeconds: 60 }));
    const json = { 'content-type': 'application/json' };
    const taken = await send(t, running, { method: 'POST', path: '/leases', body: lease, fields: json });
    assert.deepEqual([taken.status, JSON.parse(taken.body.toString()).region], [201, name]);
    const ended = { method: 'DELETE', path: taken.fields.get('location') ?? '' };
    assert.equal((await send(t, running, ended)).status, 204);
    const before = await get(t, running, path);
    assert.equal(before.body.toString(), '0abc45678');
    await running.close();
    const again = await startWritable(scope, 'tmpfs', { dir });
    const after = await get(t, again, path);
    assert.equal(after.body.toString(), '0abc45678');
    for (const field of ['etag', 'content-type']) assert.equal(after.fields.get(field), before.fields.get(field));
    assert.equal((await send(t, again, { method: 'DELETE', path })).status, 204);
    assert.equal((await get(t, again, path)).status, 404);
  });
}

/** Any name by the rules, of segments that a file system takes. */
const anyName = fc
  .array(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 4 })
  .map((segments) => segments.map((segment) => segment.replaceAll(/[/\0]/g, '-')).join('/'))
  .filter((name) => isRegionName(name));

type Line = { readonly msg: string; readonly method: string; readonly url: string };

function linesOf(child: Child): Line[] {
  const lines = child.stdout().split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

/** The values of a label in Prometheus's text format, which is lines that end in a line feed. */
function labelsIn(text: string, family: string, label: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith(`${family}{`));
  return lines.map((line) => {
    const [, value = ''] = new RegExp(`[{,]${label}="((?:[^"\\\\]|\\\\.)*)"[,}].* 1$`, 's').exec(line) ?? [];
    return value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  });
}

test('any name is written, read, listed, logged in one line, measured and removed', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const child = startCli(t, ['serve', '--dir', dir, '--writable', '--port', '0']);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  let asked = 0;
  const ask = (method: string, path: string, body?: Uint8Array): Promise<RawResponse> => {
    asked++;
    return change(client, { method, path, ...(body && { body }) });
  };
  const run = async (name: string): Promise<void> => {
    const path = `/regions/${encodeName(name)}`;
    const content = Buffer.from(`the content of ${name}`);
    const made = await ask('PUT', path, content);
    assert.deepEqual([made.status, made.fields.get('location')], [201, path]);
    for (let time = 0; time < 3; time++) {
      const read = await ask('GET', path); // A lane may answer the last of them.
      assert.deepEqual([read.status, read.body], [200, content]);
    }
    assert.deepEqual(listed(await ask('GET', '/regions')), [name]);
    const metrics = await ask('GET', '/metrics');
    assert.deepEqual(labelsIn(metrics.body.toString(), 'pagerelay_region_info', 'region'), [name]);
    assert.equal((await ask('DELETE', path)).status, 204);
    const missing = await ask('GET', path);
    assert.deepEqual([missing.status, JSON.parse(missing.body.toString()).instance], [404, path]);
    const line = () => linesOf(child).findLast(({ msg, method }) => msg === 'request' && method === 'DELETE');
    await until(() => decodeName(line()?.url.slice('/regions/'.length) ?? '') === name, 'the line is written');
  };
  for (const name of names) await run(name);
  await fc.assert(fc.asyncProperty(anyName, shrunkBriefly(run)), { numRuns: amount(25, 60) });
  client.destroy();
  child.process.kill('SIGTERM');
  await child.exited;
  const told = linesOf(child).filter(({ msg }) => msg === 'request' || msg === 'express');
  assert.equal(told.length, asked, 'one line a request');
});
