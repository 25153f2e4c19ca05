/** What a lane answers is what Node answers to the same request, to the byte. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ServiceOptions } from '../../src/service.ts';
import { answersOf, grantedOf, haveGranted, returnsOf, untilNoneGranted } from '../support/express.ts';
import { until } from '../support/poll.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const size = 300_000;
const path = '/regions/file.bin';
const content = seededBytes(size, 41);

const ways: Readonly<Record<string, Partial<ServiceOptions>>> = {
  sendfile: { engine: 'sendfile' },
  splice: { engine: 'splice' },
  copy: { engine: 'copy' },
  'copies of short bodies': { engine: 'sendfile', copyBelow: 16_384 },
  'copies for those who can not be asked': {
    engine: 'sendfile',
    unaskable: [{ address: '127.0.0.0', prefix: 8, family: 'ipv4' }],
  },
};

async function start(t: TestContext, options: Partial<ServiceOptions>): Promise<{ running: Running; etag: string }> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 41);
  const running = await startService(t, { ...options, regions: [file] });
  const { headers } = await running.service.app.inject({ method: 'HEAD', url: path });
  return { running, etag: String(headers.etag) };
}

/** All but what differs from second to second. */
function comparable({ status, version, fields, body }: RawResponse) {
  const { date, ...others } = Object.fromEntries(fields);
  assert.ok(Math.abs(Date.parse(date ?? '') - Date.now()) < 5000, `Date: ${date}`);
  return { status, version, fields: others, length: body.length, body: body.toString('base64') };
}

/** Asks twice: on a connection that its lane has, and on a new one, whose first request is Node's. */
async function askBoth(
  t: TestContext,
  running: Running,
  granted: RawClient,
  range: string | undefined,
  fields: string,
) {
  const byLane = await askLane(running, granted, range, fields);
  const client = await RawClient.connect(t, running.port);
  client.get(path, range, fields);
  const byNode = await client.response();
  client.destroy();
  return { byLane, byNode };
}

/** Asks until the lane was the one that answered: a grant may end, by its time, just before. */
async function askLane(running: Running, client: RawClient, range: string | undefined, fields: string) {
  for (let again = 0; again < 20; again++) {
    if (grantedOf(running) === 0) await haveGranted(running, client, { path, fields }, range ?? 'whole');
    const before = { answers: answersOf(running), late: returnsOf(running, 'time') };
    client.get(path, range, fields);
    const response = await client.response();
    // The client can have read all of it before the lane has counted it.
    const isCounted = () => answersOf(running) > before.answers || returnsOf(running, 'time') > before.late;
    await until(isCounted, 'the lane has answered, or given back');
    if (answersOf(running) > before.answers) return response;
  }
  return assert.fail('no lane answers');
}

const ranges: readonly (readonly [range: string, first: number, last: number])[] = [
  ['0-0', 0, 0],
  ['0-4095', 0, 4095],
  ['1-4096', 1, 4096],
  ['17-99999', 17, 99_999],
  ['00017-0099999', 17, 99_999],
  ['299999-299999', 299_999, 299_999],
  ['299000-', 299_000, 299_999],
  ['299000-300000', 299_000, 299_999],
  ['0-999999999999999999', 0, 299_999],
  ['0-', 0, 299_999],
  ['-1', 299_999, 299_999],
  ['-5000', 295_000, 299_999],
  ['-300000', 0, 299_999],
  ['-300001', 0, 299_999],
];

for (const [way, options] of Object.entries(ways)) {
  test(`ranges that a lane answers are those of Node, by ${way}`, async (t) => {
    const { running } = await start(t, options);
    const granted = await RawClient.connect(t, running.port);
    for (const [range, first, last] of ranges) {
      const { byLane, byNode } = await askBoth(t, running, granted, range, '');
      assert.deepEqual(comparable(byLane), comparable(byNode), range);
      assert.equal(byLane.status, 206);
      assert.equal(byLane.fields.get('content-range'), `bytes ${first}-${last}/${size}`);
      assert.ok(byLane.body.equals(content.subarray(first, last + 1)), range);
    }
    granted.destroy();
    await untilNoneGranted(running);
  });

  test(`whole regions that a lane answers are those of Node, by ${way}`, async (t) => {
    const { running } = await start(t, options);
    const granted = await RawClient.connect(t, running.port);
    for (let again = 0; again < 3; again++) {
      const { byLane, byNode } = await askBoth(t, running, granted, undefined, '');
      assert.deepEqual(comparable(byLane), comparable(byNode));
      assert.equal(byLane.status, 200);
      assert.ok(byLane.body.equals(content));
    }
    assert.ok(running.service.relay.counters().answers.whole >= 3);
  });
}

/** Fields with which a request may repeat, and what it gets. */
const repeated: readonly (readonly [what: string, fields: (etag: string) => string, status: number])[] = [
  ['Authorization', () => 'Authorization: Bearer x\r\n', 206],
  ['Connection: keep-alive', () => 'Connection: keep-alive\r\n', 206],
  ['If-Range that holds', (etag) => `If-Range: ${etag}\r\n`, 206],
  ['If-None-Match of another', () => 'If-None-Match: "other"\r\n', 206],
  ['If-Match that holds', (etag) => `If-Match: ${etag}\r\n`, 206],
  ['If-Unmodified-Since', () => 'If-Unmodified-Since: Fri, 31 Dec 2100 00:00:00 GMT\r\n', 206],
  ['Want-Repr-Digest', () => 'Want-Repr-Digest: sha-256=1\r\n', 206],
  ['white space', () => 'X:  \t a \t \r\nY:\r\n', 206],
];

for (const [what, fields] of repeated) {
  test(`a request with ${what} is answered by a lane as by Node`, async (t) => {
    const { running, etag } = await start(t, { engine: 'sendfile' });
    const granted = await RawClient.connect(t, running.port);
    for (const range of ['5-99', '5-99', '-10']) {
      const { byLane, byNode } = await askBoth(t, running, granted, range, fields(etag));
      assert.deepEqual(comparable(byLane), comparable(byNode));
      assert.equal(byLane.status, 206);
    }
    if (what !== 'Want-Repr-Digest') return;
    const { byLane } = await askBoth(t, running, granted, '5-99', fields(etag));
    assert.match(byLane.fields.get('repr-digest') ?? '', /^sha-256=:/);
  });
}

const never: readonly (readonly [what: string, fields: (etag: string) => string, range: string, status: number])[] = [
  ['If-Range of another', () => 'If-Range: "other"\r\n', '0-9', 200],
  ['If-None-Match that holds', (etag) => `If-None-Match: ${etag}\r\n`, '0-9', 304],
  ['If-Match of another', () => 'If-Match: "other"\r\n', '0-9', 412],
  ['a range outside', () => '', '300000-', 416],
  ['a backward range', () => '', '9-0', 416],
  ['a suffix of nothing', () => '', '-0', 416],
  ['several ranges', () => '', '0-1,7-9', 206],
  ['a blank in its range', () => '', '0-9 ', 206],
];

for (const [what, fields, range, status] of never) {
  test(`a request with ${what} is Node's each time`, async (t) => {
    const { running, etag } = await start(t, { engine: 'sendfile' });
    const client = await RawClient.connect(t, running.port);
    for (let again = 0; again < 5; again++) {
      client.get(path, range, fields(etag));
      assert.equal((await client.response()).status, status);
    }
    assert.deepEqual([answersOf(running), running.service.relay.counters().grants], [0, 0]);
  });

  test(`on a connection that a lane has, a request with ${what} is Node's, and the next one a lane's again`, async (t) => {
    const { running, etag } = await start(t, { engine: 'sendfile' });
    const client = await RawClient.connect(t, running.port);
    for (let again = 0; again < 3; again++) {
      await haveGranted(running, client, { path }, '3-4');
      const before = answersOf(running);
      client.get(path, range, fields(etag));
      assert.equal((await client.response()).status, status);
      assert.equal(answersOf(running), before);
    }
  });
}

test('without express no lane answers by itself', async (t) => {
  const { running } = await start(t, { express: false });
  const client = await RawClient.connect(t, running.port);
  for (let again = 0; again < 10; again++) {
    client.get(path, '0-9');
    assert.equal((await client.response()).status, 206);
  }
  const { grants, granted } = running.service.relay.counters();
  assert.deepEqual([answersOf(running), grants, granted], [0, 0, 0]);
});

test('from the third request on, the lane has a connection whose requests repeat', async (t) => {
  const { running } = await start(t, { engine: 'sendfile' });
  const client = await RawClient.connect(t, running.port);
  for (const [at, expected] of [0, 0, 1, 2, 3].entries()) {
    client.get(path, `${at}-9`);
    await client.response();
    assert.equal(answersOf(running), expected, `after ${at + 1} requests`);
  }
});

for (const engine of ['zerocopy', 'stream'] as const) {
  test(`nothing is granted where bodies go by ${engine}`, async (t) => {
    const { running } = await start(t, { engine });
    const client = await RawClient.connect(t, running.port);
    for (let again = 0; again < 5; again++) {
      client.get(path, '0-9');
      assert.equal((await client.response()).status, 206);
    }
    assert.equal(running.service.relay.counters().grants, 0);
  });
}

test('empty regions are never granted', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'empty.bin', 0);
  const running = await startService(t, { regions: [file] });
  const client = await RawClient.connect(t, running.port);
  for (let again = 0; again < 5; again++) {
    client.get('/regions/empty.bin');
    assert.equal((await client.response()).status, 200);
  }
  assert.equal(running.service.relay.counters().grants, 0);
});
