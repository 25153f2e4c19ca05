/** Ranges and conditions mean the same whatever carries the bytes: one table over every engine, and without a socket. */
import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { everyEngine } from '../support/engines.ts';
import { until } from '../support/poll.ts';
import {
  type CaseRegionName,
  caseRegions,
  type Expected,
  type RangeCase,
  rangeCases,
  readContentRange,
  readParts,
} from '../support/range-cases.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, writeRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';

/** A request of the table. */
type Asked = { readonly method: string; readonly name: CaseRegionName; readonly lines: readonly string[] };

/** Fields by name in lower case. */
type Answer = { readonly status: number; readonly fields: ReadonlyMap<string, string>; readonly body: Buffer };

type Ask = (asked: Asked) => Promise<Answer>;

const names = Object.keys(caseRegions) as CaseRegionName[];

function writeRegions(scope: Scope): RegionFile[] {
  const folder = makeFolder(scope, 'tmpfs');
  return names.map((name, at) => {
    const { size, mtime } = caseRegions[name];
    const file = writeRegion(folder, name, size, at + 41);
    utimesSync(file.path, mtime, mtime);
    return file;
  });
}

/** Over one kept-alive connection, after each answer on which another request must be answered in full. */
function askOverTcp(scope: Scope, { port }: Running): Ask {
  let client: RawClient | undefined;
  return async ({ method, name, lines }) => {
    const kept = client ?? (await RawClient.connect(scope, port));
    client = undefined; // A connection that a failure has left in an unknown state is not used again.
    kept.write(`${[`${method} /regions/${name} HTTP/1.1`, 'Host: localhost', ...lines].join('\r\n')}\r\n\r\n`);
    const answer = await kept.response(method);
    kept.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    assert.equal((await kept.response()).body.toString(), '{"status":"ok"}', 'the body ends where its length says');
    client = kept;
    return answer;
  };
}

function askByInject({ service }: Running): Ask {
  return async ({ method, name, lines }) => {
    const headers: Record<string, string[]> = {};
    for (const line of lines) {
      const field = line.slice(0, line.indexOf(':')).toLowerCase();
      headers[field] = [...(headers[field] ?? []), line.slice(line.indexOf(':') + 1).trim()];
    }
    const url = `/regions/${name}`;
    const {
      statusCode,
      headers: got,
      rawPayload,
    } = await service.app.inject({ method: method as 'GET', url, headers });
    const fields = Object.entries(got).map(([field, value]) => [field.toLowerCase(), String(value)] as const);
    return { status: statusCode, fields: new Map(fields), body: rawPayload };
  };
}

function checkValidators(name: CaseRegionName, fields: Answer['fields']): void {
  assert.match(fields.get('etag') ?? '', /^"[\x21\x23-\x7e]+"$/, 'a strong entity-tag');
  if (name !== 'future.bin') assert.equal(fields.get('last-modified'), httpDate(caseRegions[name].mtime));
  assert.equal(fields.get('accept-ranges'), 'bytes');
  assert.equal(fields.get('x-content-type-options'), 'nosniff');
  assert.equal(fields.get('content-security-policy'), 'sandbox');
}

function httpDate(seconds: number): string {
  return new Date(Math.floor(seconds) * 1000).toUTCString();
}

function checkProblem(code: string, status: number, { fields, body }: Answer, method: string): void {
  assert.equal(fields.get('content-type'), 'application/problem+json');
  if (method === 'HEAD') return;
  const problem = JSON.parse(body.toString()) as Record<string, unknown>;
  assert.deepEqual([problem.code, problem.status, problem.type], [code, status, `urn:pagerelay:problem:${code}`]);
}

function checkParts(answer: Answer, expected: readonly string[], file: RegionFile, contentType: string): void {
  assert.equal(answer.fields.get('content-range'), undefined, 'several parts have no Content-Range in common');
  const parts = readParts(answer.fields.get('content-type') ?? '', answer.body);
  const told = parts.map((part) => [part.contentRange, part.contentType]);
  const right = expected.map((contentRange) => [contentRange, contentType]);
  assert.deepEqual(told, right);
  for (const { contentRange, body } of parts) checkBytes(body, contentRange, file);
}

function checkBytes(body: Buffer, contentRange: string, file: RegionFile): void {
  const { first, last, size } = readContentRange(contentRange);
  assert.equal(size, file.size);
  assert.ok(body.equals(bytesOf(file.path, first, last)), `the bytes of ${contentRange}`);
}

function checkWhole(answer: Answer, method: string, file: RegionFile, contentType: string): void {
  assert.equal(answer.fields.get('content-range'), undefined);
  assert.equal(answer.fields.get('content-type'), contentType);
  assert.equal(answer.fields.get('content-length'), String(file.size));
  const right = method === 'HEAD' ? Buffer.alloc(0) : bytesOf(file.path, 0, file.size - 1);
  assert.ok(answer.body.equals(right), 'the bytes of all of it');
}

function checkNotModified(answer: Answer, size: number): void {
  assert.equal(answer.body.length, 0);
  // RFC 9110 8.6: none, or what a 200 would have.
  const told = answer.fields.get('content-length');
  assert.ok(told === undefined || told === String(size), `Content-Length ${told}`);
  for (const field of ['content-range', 'content-type', 'transfer-encoding']) {
    assert.equal(answer.fields.get(field), undefined, field);
  }
}

function checkSingle(answer: Answer, contentRange: string, file: RegionFile, contentType: string): void {
  assert.equal(answer.fields.get('content-range'), contentRange);
  assert.equal(answer.fields.get('content-type'), contentType);
  checkBytes(answer.body, contentRange, file);
}

function checkContent(answer: Answer, expected: Expected, file: RegionFile, { method, name }: Asked): void {
  const { contentType } = caseRegions[name];
  switch (expected.status) {
    case 200:
      checkWhole(answer, method, file, contentType);
      break;
    case 206:
      if ('parts' in expected) checkParts(answer, expected.parts, file, contentType);
      else checkSingle(answer, expected.contentRange, file, contentType);
      break;
    case 304:
      checkNotModified(answer, file.size);
      break;
    case 412:
      checkProblem('precondition-failed', 412, answer, method);
      break;
    case 416:
      assert.equal(answer.fields.get('content-range'), expected.contentRange);
      checkProblem('range-not-satisfiable', 416, answer, method);
  }
}

/** The entity-tags of all regions, which stay as they are. */
type Tags = ReadonlyMap<CaseRegionName, string>;

async function tagsOf(ask: Ask): Promise<Tags> {
  const tags = new Map<CaseRegionName, string>();
  for (const name of names) tags.set(name, (await ask({ method: 'HEAD', name, lines: [] })).fields.get('etag') ?? '');
  return tags;
}

async function checkCase(ask: Ask, files: readonly RegionFile[], tags: Tags, [, request, fields, expected]: RangeCase) {
  const [method = '', name] = request.split(' ') as [string, CaseRegionName];
  const file = files[names.indexOf(name)] as RegionFile;
  const etag = tags.get(name) ?? assert.fail(name);
  const lines = fields.map((line) => line.replaceAll('{etag}', etag.slice(1, -1)));
  const answer = await ask({ method, name, lines });
  assert.equal(answer.status, expected.status);
  if (answer.status <= 304) checkValidators(name, answer.fields);
  if (answer.status <= 304 || answer.status === 412) assert.equal(answer.fields.get('etag'), etag);
  if (method === 'HEAD') assert.equal(answer.body.length, 0, 'HEAD has no body');
  else if (answer.status !== 304) assert.equal(answer.fields.get('content-length'), String(answer.body.length));
  checkContent(answer, expected, file, { method, name, lines });
}

function titleOf([source, request, fields, { status }]: RangeCase): string {
  const shown = fields.map((line) => (line.length > 60 ? `${line.slice(0, 60)}… (${line.length})` : line));
  return `${[request, ...shown].join(', ')} → ${status} (${source})`;
}

const waysToAsk: readonly (readonly [way: string, engine: (typeof everyEngine)[number], overTcp: boolean])[] = [
  ...everyEngine.map((engine) => [engine, engine, true] as const),
  ['app.inject()', 'sendfile', false],
];

for (const [way, engine, overTcp] of waysToAsk) {
  test(`every range and condition is answered right by ${way}`, async (t) => {
    const files = writeRegions(t);
    const running = await startService(t, { engine, regions: files });
    const ask = overTcp ? askOverTcp(t, running) : askByInject(running);
    const tags = await tagsOf(ask);
    const wrong: string[] = [];
    for (const each of rangeCases) {
      await checkCase(ask, files, tags, each).catch((error: Error) => wrong.push(`${titleOf(each)}: ${error.message}`));
    }
    assert.deepEqual(wrong, []);
    await until(() => running.service.relay.references().items.length === 0, 'nothing is held');
    const { sentBytes } = running.service.relay.counters();
    assert.ok(sentBytes[overTcp ? engine : 'stream'] > 1_000_000, 'the engine that was asked for has sent the bytes');
  });
}

test('the table has not shrunk', () => {
  assert.ok(rangeCases.length >= 150, `${rangeCases.length} cases`);
  const requests = rangeCases.map(([source, request, fields]) => JSON.stringify([source, request, fields]));
  assert.equal(new Set(requests).size, requests.length, 'each case is there once');
});

test('Last-Modified is never later than Date (RFC 9110 8.8.2.1)', async (t) => {
  const running = await startService(t, { engine: 'sendfile', regions: writeRegions(t) });
  const ask = askOverTcp(t, running);
  for (const lines of [[], ['Range: bytes=0-8'], ['If-None-Match: *']]) {
    const { fields } = await ask({ method: 'GET', name: 'future.bin', lines });
    const [date = '', lastModified = date] = [fields.get('date'), fields.get('last-modified')];
    // The clock may go on to the next second between the two.
    assert.ok(Date.parse(lastModified) <= Date.parse(date) + 1000, `${lastModified} in an answer of ${date}`);
  }
});

/** Waits for the next second: from its beginning on there is most time to ask in the same one. */
async function nextSecond(): Promise<number> {
  await delay(1000 - (Date.now() % 1000) + 10);
  return Math.floor(Date.now() / 1000);
}

/** The status of a range asked for by the date of a modification in this second; again where the second ran out. */
async function askInSecondOf(file: RegionFile, client: RawClient): Promise<{ status: number; modified: number }> {
  for (;;) {
    const modified = await nextSecond();
    utimesSync(file.path, modified, modified);
    client.get(`/regions/${file.name}`, '0-8', `If-Range: ${httpDate(modified)}\r\n`);
    const { status } = await client.response();
    if (Math.floor(Date.now() / 1000) === modified) return { status, modified };
  }
}

test('a date in If-Range counts from one second after the modification on (RFC 9110 8.8.2.2)', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'fresh.bin', 1000);
  const running = await startService(t, { engine: 'sendfile', regions: [file] });
  const client = await RawClient.connect(t, running.port);
  const { status, modified } = await askInSecondOf(file, client);
  assert.equal(status, 200);
  await nextSecond();
  client.get(`/regions/${file.name}`, '0-8', `If-Range: ${httpDate(modified)}\r\n`);
  assert.equal((await client.response()).status, 206);
});
