/** What a lane answers is what Node answers to the same request, to the byte. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Counters } from '../../src/relay/relay.ts';
import type { ServiceOptions } from '../../src/service.ts';
import { answersOf, connectToLane, fedOf, handedOverOf, untilNoneRead } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, type RegionFile, seededBytes, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const size = 300_000;
const path = '/regions/file.bin';
const content = seededBytes(size, 41);

const ways: Readonly<Record<string, Partial<ServiceOptions>>> = {
  sendfile: { engine: 'sendfile' },
  splice: { engine: 'splice' },
  copy: { engine: 'copy' },
  'copies of short bodies': { engine: 'sendfile', copyBelow: 16_384 },
};

type Known = { readonly running: Running; readonly etag: string; readonly lastModified: string };

async function start(t: TestContext, options: Partial<ServiceOptions>, file?: RegionFile): Promise<Known> {
  const region = file ?? writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 41);
  const running = await startService(t, { ...options, regions: [region] });
  const { headers } = await running.service.app.inject({ method: 'HEAD', url: path });
  return { running, etag: String(headers.etag), lastModified: String(headers['last-modified']) };
}

/** A service whose lanes read, another one of the same file where Node does, and a connection to each. */
type Both = Omit<Known, 'running'> & {
  readonly lanes: Running;
  readonly node: Running;
  readonly byLane: RawClient;
  readonly byNode: RawClient;
};

async function startBoth(t: TestContext, options: Partial<ServiceOptions>): Promise<Both> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 41);
  const { running: lanes, ...validators } = await start(t, options, file);
  const { running: node } = await start(t, { ...options, express: false }, file);
  const byLane = await connectToLane(t, lanes, { path });
  return { ...validators, lanes, node, byLane, byNode: await RawClient.connect(t, node.port) };
}

/** All but what differs from second to second; fields in their order. */
function comparable({ status, version, fields, body }: RawResponse) {
  const others = [...fields].filter(([name]) => name !== 'date');
  const date = fields.get('date') ?? '';
  assert.equal(new Date(date).toUTCString(), date);
  return { status, version, fields: others, length: body.length, body: body.toString('base64') };
}

/** Asks twice: on a connection that a lane reads, and a service where Node reads all of them. */
async function askBoth({ lanes, node, byLane, byNode }: Both, range: string | undefined, fields = '', method = 'GET') {
  const before = answersOf(lanes);
  const asked = [byLane, byNode].map((client) => {
    const rangeField = range === undefined ? '' : `Range: bytes=${range}\r\n`;
    client.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${rangeField}${fields}\r\n`);
    return client.response(method);
  });
  const [laneAnswer, nodeAnswer] = (await Promise.all(asked)) as [RawResponse, RawResponse];
  await until(
    () => answersOf(lanes) > before,
    'the lane has answered',
    () => lanes.service.relay.counters(),
  );
  assert.equal(answersOf(node), 0);
  return { laneAnswer, nodeAnswer };
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
    const both = await startBoth(t, options);
    for (const [range, first, last] of ranges) {
      const { laneAnswer, nodeAnswer } = await askBoth(both, range);
      assert.deepEqual(comparable(laneAnswer), comparable(nodeAnswer), range);
      assert.equal(laneAnswer.status, 206);
      assert.equal(laneAnswer.fields.get('content-range'), `bytes ${first}-${last}/${size}`);
      assert.ok(laneAnswer.body.equals(content.subarray(first, last + 1)), range);
    }
    both.byLane.destroy();
    await untilNoneRead(both.lanes);
  });

  test(`whole regions that a lane answers are those of Node, by ${way}`, async (t) => {
    const both = await startBoth(t, options);
    for (let again = 0; again < 3; again++) {
      const { laneAnswer, nodeAnswer } = await askBoth(both, undefined);
      assert.deepEqual(comparable(laneAnswer), comparable(nodeAnswer));
      assert.equal(laneAnswer.status, 200);
      assert.ok(laneAnswer.body.equals(content));
    }
    assert.ok(both.lanes.service.relay.counters().answers.whole >= 3);
  });
}

type Fields = (validators: Pick<Known, 'etag' | 'lastModified'>) => string;

const earlier = 'Sat, 01 Jan 2000 00:00:00 GMT';
const later = 'Fri, 31 Dec 2100 00:00:00 GMT';

/** What a lane answers by itself, whatever other fields there are, and which kind of answer it is. */
const answered: readonly (readonly [
  what: string,
  range: string | undefined,
  fields: Fields,
  kind: keyof Counters['answers'],
])[] = [
  ['Authorization', '5-99', () => 'Authorization: Bearer x\r\n', 'ranged'],
  ['Connection: keep-alive', '5-99', () => 'Connection: keep-alive\r\n', 'ranged'],
  ['Connection: TE', '5-99', () => 'Connection: TE\r\nTE: trailers\r\n', 'ranged'],
  ['fields for traces', '-10', () => `X-Request-Id: ${Math.random()}\r\ntraceparent: 00-1-2-01\r\n`, 'ranged'],
  ['Cookie and User-Agent', undefined, () => 'Cookie: a=b\r\nUser-Agent: x\r\nReferer: y\r\n', 'whole'],
  ['white space', '5-99', () => 'X:  \t a \t \r\nY:\r\n', 'ranged'],
  ['If-Range that holds', '5-99', ({ etag }) => `If-Range: ${etag}\r\n`, 'ranged'],
  ['If-Range of another', '0-9', () => 'If-Range: "other"\r\n', 'whole'],
  ['If-Range that is weak', '0-9', ({ etag }) => `If-Range: W/${etag}\r\n`, 'whole'],
  ['If-Range without a range', undefined, () => 'If-Range: "other"\r\n', 'whole'],
  ['If-None-Match of another', '5-99', () => 'If-None-Match: "other"\r\n', 'ranged'],
  ['If-None-Match that holds', '0-9', ({ etag }) => `If-None-Match: ${etag}\r\n`, 'notModified'],
  ['If-None-Match that is weak', undefined, ({ etag }) => `If-None-Match: W/${etag}\r\n`, 'notModified'],
  ['If-Modified-Since', undefined, ({ lastModified }) => `If-Modified-Since: ${lastModified}\r\n`, 'notModified'],
  [
    'If-Modified-Since beside If-None-Match',
    '5-99',
    ({ lastModified }) => `If-Modified-Since: ${lastModified}\r\nIf-None-Match: "other"\r\n`,
    'ranged',
  ],
  ['If-Match that holds', '5-99', ({ etag }) => `If-Match: ${etag}\r\n`, 'ranged'],
  ['If-Match: *', '5-99', () => 'If-Match: *\r\n', 'ranged'],
  ['If-Match of another', '5-99', () => 'If-Match: "other"\r\n', 'failed'],
  ['If-Match that is weak', '5-99', ({ etag }) => `If-Match: W/${etag}\r\n`, 'failed'],
  ['If-Modified-Since of an earlier day', '5-99', () => `If-Modified-Since: ${earlier}\r\n`, 'ranged'],
  ['If-Modified-Since of a later day', '5-99', () => `If-Modified-Since: ${later}\r\n`, 'notModified'],
  ['If-Unmodified-Since', '5-99', ({ lastModified }) => `If-Unmodified-Since: ${lastModified}\r\n`, 'ranged'],
  ['If-Unmodified-Since of a later day', '5-99', () => `If-Unmodified-Since: ${later}\r\n`, 'ranged'],
  ['If-Unmodified-Since of an earlier day', '5-99', () => `If-Unmodified-Since: ${earlier}\r\n`, 'failed'],
  [
    'If-Unmodified-Since beside If-Match',
    '5-99',
    ({ etag }) => `If-Unmodified-Since: ${earlier}\r\nIf-Match: ${etag}\r\n`,
    'ranged',
  ],
  ['a range outside', '300000-', () => '', 'unsatisfiable'],
  ['a range outside with an end', '300000-300001', ({ etag }) => `If-Range: ${etag}\r\n`, 'unsatisfiable'],
  ['a suffix of nothing', '-0', () => '', 'unsatisfiable'],
];

for (const [what, range, fields, kind] of answered) {
  test(`a request with ${what} is answered by a lane as by Node`, async (t) => {
    const both = await startBoth(t, { engine: 'sendfile' });
    for (let again = 0; again < 3; again++) {
      const before = both.lanes.service.relay.counters().answers[kind];
      const { laneAnswer, nodeAnswer } = await askBoth(both, range, fields(both));
      assert.deepEqual(comparable(laneAnswer), comparable(nodeAnswer));
      assert.equal(both.lanes.service.relay.counters().answers[kind], before + 1, kind);
    }
  });
}

for (const [what, range, fields, kind] of [
  ['HEAD', undefined, () => '', 'head'],
  ['HEAD with a range, which means nothing', '0-9', () => '', 'head'],
  ['HEAD with a range that is none', 'x', () => '', 'head'],
  ['HEAD with If-None-Match that holds', undefined, ({ etag }) => `If-None-Match: ${etag}\r\n`, 'headNotModified'],
  ['HEAD with If-Match of another', undefined, () => 'If-Match: "other"\r\n', 'headFailed'],
] as typeof answered) {
  test(`${what} is answered by a lane as by Node`, async (t) => {
    const both = await startBoth(t, { engine: 'sendfile' });
    const before = both.lanes.service.relay.counters().answers[kind];
    const { laneAnswer, nodeAnswer } = await askBoth(both, range, fields(both), 'HEAD');
    assert.deepEqual(comparable(laneAnswer), comparable(nodeAnswer));
    assert.equal(both.lanes.service.relay.counters().answers[kind], before + 1, kind);
  });
}

const ends: Readonly<Record<string, string>> = {
  'Connection: close': 'HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n',
  'Connection: Keep-Alive, Close': 'HTTP/1.1\r\nHost: localhost\r\nConnection: Keep-Alive, Close\r\n',
  'HTTP/1.0': 'HTTP/1.0\r\nHost: localhost\r\n',
  'HTTP/1.0 without Host': 'HTTP/1.0\r\n',
};

for (const [what, rest] of Object.entries(ends)) {
  for (const range of ['7-99', `0-${size - 1}`]) {
    test(`a connection with ${what} ends behind the answer of a lane to ${range}, and not before it`, async (t) => {
      const { lanes, node } = await startBoth(t, { engine: 'sendfile' });
      const before = answersOf(lanes);
      const answers: RawResponse[] = [];
      for (const { port } of [lanes, node]) {
        const client = await RawClient.connect(t, port);
        client.write(`GET ${path} ${rest}Range: bytes=${range}\r\n\r\n`);
        answers.push(await client.response());
        const { bytes, error } = await client.rest();
        assert.deepEqual([bytes, error], [0, undefined]);
      }
      const [byLane, byNode] = answers as [RawResponse, RawResponse];
      assert.deepEqual(comparable(byLane), comparable(byNode));
      assert.equal(byLane.fields.get('connection'), 'close');
      await until(() => answersOf(lanes) === before + 1, 'by a lane');
      assert.equal(fedOf(lanes, 'request') + handedOverOf(lanes), 0);
    });
  }
}

test('HTTP/1.0 with keep-alive is answered by a lane, and its connection goes on', async (t) => {
  const { byLane, lanes } = await startBoth(t, { engine: 'sendfile' });
  const before = answersOf(lanes);
  for (let again = 0; again < 3; again++) {
    byLane.write(`GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=0-9\r\n\r\n`);
    assert.equal((await byLane.response()).fields.get('connection'), 'keep-alive');
  }
  await until(() => answersOf(lanes) === before + 3, 'by the lane');
});

/** What Node answers, as exactly one head that a lane has fed to it. */
const fed: readonly (readonly [what: string, fields: (etag: string) => string, range: string, status: number])[] = [
  ['If-None-Match of several', (etag) => `If-None-Match: "other", ${etag}\r\n`, '0-9', 304],
  ['If-None-Match: *', () => 'If-None-Match: *\r\n', '0-9', 304],
  ['If-Match of several', (etag) => `If-Match: "other", ${etag}\r\n`, '5-9', 206],
  ['a date in another form', () => 'If-Modified-Since: Saturday, 01-Jan-00 00:00:00 GMT\r\n', '0-9', 206],
  ['a date that is none', () => 'If-Unmodified-Since: yesterday\r\n', '0-9', 206],
  ['a date in If-Range', () => 'If-Range: Sat, 01 Jan 2000 00:00:00 GMT\r\n', '0-9', 200],
  ['Want-Repr-Digest', () => 'Want-Repr-Digest: sha-256=1\r\n', '5-9', 206],
  ['a field that Connection names', () => 'Connection: x\r\nX: y\r\n', '0-9', 206],
  ['a backward range', () => '', '9-0', 416],
  ['more digits than a number has', () => '', `0-${'9'.repeat(40)}`, 206],
  ['several ranges', () => '', '0-1,7-9', 206],
];

for (const [what, fields, range, status] of fed) {
  test(`a request with ${what} is fed to Node, and the next one is the lane’s again`, async (t) => {
    const { running, etag } = await start(t, { engine: 'sendfile' });
    const client = await connectToLane(t, running, { path });
    for (let again = 0; again < 3; again++) {
      const before = { answers: answersOf(running), fed: fedOf(running, 'request') };
      client.get(path, range, fields(etag));
      assert.equal((await client.response()).status, status);
      assert.deepEqual([answersOf(running), fedOf(running, 'request')], [before.answers, before.fed + 1]);
      client.get(path, '3-4');
      assert.ok((await client.response()).body.equals(content.subarray(3, 5)));
      await until(() => answersOf(running) === before.answers + 1, 'the lane has answered');
    }
    assert.equal(handedOverOf(running), 0);
  });
}

test('without express Node accepts and reads every connection', async (t) => {
  const { running } = await start(t, { express: false });
  const client = await RawClient.connect(t, running.port);
  for (let again = 0; again < 10; again++) {
    client.get(path, '0-9');
    assert.equal((await client.response()).status, 206);
  }
  const { acceptedConnections, published, reading } = running.service.relay.counters();
  assert.deepEqual([answersOf(running), acceptedConnections, published, reading], [0, 0, 0, 0]);
});

test('the first request for a region is Node’s, and every later one a lane’s, on any connection', async (t) => {
  const { running } = await start(t, { engine: 'sendfile' });
  const [one, other] = [await RawClient.connect(t, running.port), await RawClient.connect(t, running.port)];
  for (const [at, client] of [one, one, other, other, one].entries()) {
    client.get(path, `${at}-9`, `X-Request-Id: ${at}\r\n`);
    await client.response();
    await until(() => answersOf(running) === at, `${at} answers by lanes`);
  }
  assert.equal(fedOf(running), 1);
});

for (const engine of ['zerocopy', 'stream'] as const) {
  test(`nothing is published where bodies go by ${engine}`, async (t) => {
    const { running } = await start(t, { engine });
    const client = await RawClient.connect(t, running.port);
    for (let again = 0; again < 5; again++) {
      client.get(path, '0-9');
      assert.equal((await client.response()).status, 206);
    }
    assert.deepEqual([answersOf(running), running.service.relay.counters().published], [0, 0]);
  });
}

test('empty regions are Node’s', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'empty.bin', 0);
  const running = await startService(t, { regions: [file] });
  const client = await RawClient.connect(t, running.port);
  for (let again = 0; again < 5; again++) {
    client.get('/regions/empty.bin');
    assert.equal((await client.response()).status, 200);
  }
  assert.deepEqual([answersOf(running), fedOf(running, 'unpublished')], [0, 5]);
});
