/** Files whose mtime no HTTP-date can state, or none that RFC 9110 lets an answer have. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { parseHttpDate } from '../../src/http/read/http-date.ts';
import { askLane } from '../support/lane-answers.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const path = '/regions/file.bin';

/** Seconds since 1970, and what Last-Modified says of them. */
const times: readonly (readonly [what: string, seconds: number, stated: string | 'now' | undefined])[] = [
  ['more than Date can hold', 9e12, undefined],
  ['the first second of the year 10000', 253_402_300_800, undefined],
  ['the last second of the year 9999', 253_402_300_799, 'now'],
  ['before 1970', -1, 'Wed, 31 Dec 1969 23:59:59 GMT'],
  ['the first second of the year 0', -62_167_219_200, 'Sat, 01 Jan 0000 00:00:00 GMT'],
  ['the last second before the year 0', -62_167_219_201, undefined],
  ['before what Date can hold', -9e12, undefined],
];

async function serve(t: TestContext, seconds: number): Promise<Running> {
  const folder = makeFolder(t, 'tmpfs');
  const file = writeRegion(folder, 'file.bin', 1000).path;
  execFileSync('touch', ['-d', `@${seconds}`, file]); // Node's utimes takes a negative number for now.
  assert.equal(statSync(file, { bigint: true }).mtimeNs, BigInt(seconds) * 1_000_000_000n, 'the file system holds it');
  return startService(t, { dir: folder });
}

function check(fields: ReadonlyMap<string, string>, stated: string | undefined): void {
  const field = fields.get('last-modified');
  if (stated !== 'now') {
    assert.equal(field, stated);
    return;
  }
  const date = parseHttpDate(field ?? '') ?? assert.fail(`no HTTP-date: ${field}`);
  assert.ok(date.getTime() <= Date.now());
}

for (const [what, seconds, stated] of times) {
  const shown = stated === undefined ? 'left out' : stated;
  test(`Last-Modified of a file from ${what} is ${shown}, by Node and lanes, in 200, 206 and 304`, async (t) => {
    const running = await serve(t, seconds);
    const client = await RawClient.connect(t, running.port);
    client.get(path);
    const { fields } = await client.response();
    check(fields, stated);
    client.get(path, '0-9');
    check((await client.response()).fields, stated);
    client.get(path, undefined, `If-None-Match: ${fields.get('etag')}\r\n`);
    const unmodified = await client.response();
    assert.equal(unmodified.status, 304);
    check(unmodified.fields, stated);
    if (stated !== 'now') check((await askLane(running, client, { path })).fields, stated);
    client.destroy();
  });
}

test('conditions on a date are ignored where there is none to compare', async (t) => {
  const running = await serve(t, 9e12);
  const client = await RawClient.connect(t, running.port);
  const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
  const conditions = { 'If-Modified-Since': 206, 'If-Unmodified-Since': 206, 'If-Range': 200 };
  for (const [condition, status] of Object.entries(conditions)) {
    client.get(path, '0-9', `${condition}: ${date}\r\n`);
    assert.equal((await client.response()).status, status, condition);
  }
  client.destroy();
});

test('the list and the page stand such a file', async (t) => {
  const running = await serve(t, 9e12);
  for (const address of ['/regions', '/']) {
    assert.equal((await fetch(running.origin + address)).status, 200);
  }
});
