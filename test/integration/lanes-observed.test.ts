/** What lanes answer by themselves is counted, logged and listed like all else. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AccessLogFormat } from '../../src/observe/access-log.ts';
import type { ServiceOptions } from '../../src/service.ts';
import { outcomesOf, referencesOf, untilReturned } from '../support/holds.ts';
import { answersOf, askLane, connectToLane, readByLanes, untilNoneRead } from '../support/lane-answers.ts';
import { type Line, type Logged, linesAtEnd, startLogged, untilLogged } from '../support/logged-service.ts';
import { until } from '../support/poll.ts';
import { originOf, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { overwriting } from '../support/requests.ts';
import { type Running, startService } from '../support/service.ts';
import { makeTree, send, startWritable } from '../support/writable.ts';

const mebibyte = 1 << 20;
const size = 30 * mebibyte;
const path = '/regions/file.bin';
const anything = { descriptors: 1e9, pipes: 1e9, mappings: 1e9 };

async function start(t: TestContext, options = {}): Promise<Running> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 11);
  return startService(t, { engine: 'sendfile', regions: [file], ...options });
}

/** The samples of `GET /metrics`, by name with labels. */
async function metricsOf({ service }: Running): Promise<ReadonlyMap<string, number>> {
  const { payload } = await service.app.inject('/metrics');
  const lines = payload.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('metrics add up to what clients got, whoever has answered', async (t) => {
  const running = await start(t);
  const got = { whole: 0, ranged: 0, bytes: 0, others: 0 };
  for (const range of ['0-99', undefined, '5-100000', '-1']) {
    const client = await RawClient.connect(t, running.port);
    for (let again = 0; again < 8; again++) {
      client.get(path, range);
      const head = await client.head();
      const length = Number(head.fields.get('content-length'));
      await client.hash(length);
      got[head.status === 206 ? 'ranged' : 'whole']++;
      got.bytes += length;
    }
    client.write('HEAD /regions/none HTTP/1.1\r\nHost: localhost\r\n\r\n');
    assert.equal((await client.response('HEAD')).status, 404);
    got.others++;
    client.destroy();
  }
  await untilNoneRead(running);
  await untilReturned(running, anything);
  const metrics = await metricsOf(running);
  const { answers } = running.service.relay.counters();
  assert.equal(metrics.get('pagerelay_http_requests_total{method="GET",status="206",engine="sendfile"}'), got.ranged);
  assert.equal(metrics.get('pagerelay_http_requests_total{method="GET",status="200",engine="sendfile"}'), got.whole);
  assert.equal(metrics.get('pagerelay_http_requests_total{method="HEAD",status="404",engine="none"}'), got.others);
  const transmissions = metrics.get('pagerelay_transmissions_total{engine="sendfile",outcome="complete"}');
  assert.equal(transmissions, got.ranged + got.whole);
  assert.equal(metrics.get('pagerelay_sent_bytes_total{engine="sendfile"}'), got.bytes);
  assert.equal(metrics.get('pagerelay_hold_seconds_count'), got.ranged + got.whole);
  assert.equal(metrics.get('pagerelay_express_requests_total'), answers.whole + answers.ranged);
  const byNode = ['unpublished', 'request', 'guard', 'changed', 'writer', 'failed'].map((reason) =>
    metrics.get(`pagerelay_fed_requests_total{reason="${reason}"}`),
  );
  const asked = got.whole + got.ranged + got.others;
  assert.equal(answers.whole + answers.ranged + Number(byNode.reduce((a = 0, b = 0) => a + b)), asked);
  assert.deepEqual(
    byNode,
    [1 + got.others, 0, 0, 0, 0, 0],
    'the first request is for what nobody has asked for before',
  );
  assert.equal(metrics.get('pagerelay_express_accepted_total'), 4);
  assert.equal(metrics.get('pagerelay_express_connections'), 0);
  assert.equal(metrics.get('pagerelay_published_regions'), 1);
});

test('a connection is counted as long as a lane reads it', async (t) => {
  const running = await start(t);
  const clients = [await connectToLane(t, running, { path }), await connectToLane(t, running, { path })];
  await until(() => readByLanes(running) === 2, 'lanes read both');
  assert.equal((await metricsOf(running)).get('pagerelay_express_connections'), 2);
  for (const client of clients) client.destroy();
  await untilNoneRead(running);
  assert.equal((await metricsOf(running)).get('pagerelay_express_connections'), 0);
});

test('a body that a lane sends by itself and nobody reads is listed, and counted when it is aborted', async (t) => {
  const running = await start(t);
  const client = await connectToLane(t, running, { path });
  await untilReturnedButConnected(running);
  const { aborted = 0 } = outcomesOf(running.service);
  client.get(path, `4096-${size - 1}`);
  await until(async () => (await referencesOf(running)).length === 1, 'it is listed');
  const [reference] = await referencesOf(running);
  assert.equal(reference?.region, 'file.bin');
  assert.equal(reference?.last, size - 1);
  assert.equal(reference?.peer, `127.0.0.1:${client.localPort}`);
  assert.equal(reference?.engine, 'sendfile');
  assert.equal(reference?.state, 'unsent');
  client.reset();
  await untilNoneRead(running);
  await untilReturned(running, anything);
  assert.equal(outcomesOf(running.service).aborted, aborted + 1);
});

async function untilReturnedButConnected({ service }: Running): Promise<void> {
  await until(() => service.relay.counters().references === 0, 'nothing is held');
}

function serve(t: TestContext, options: Partial<ServiceOptions> = {}, format?: AccessLogFormat): Promise<Logged> {
  return startLogged(t, { regions: [writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 131)], ...options }, format);
}

const isOfLane = ({ reqId }: Line) => String(reqId).startsWith('lane');

test('each answer of a lane is one line in the log, of the same form as Node’s', async (t) => {
  const served = await serve(t, { engine: 'splice' });
  const client = await RawClient.connect(t, served.port);
  const ranges = Array.from({ length: 40 }, (_, at) => [at, at + 100 * at] as const);
  for (const [first, last] of ranges) {
    client.get(path, `${first}-${last}`);
    await client.response();
  }
  client.destroy();
  const all = await linesAtEnd(served, ranges.length);
  assert.equal(all.filter(isOfLane).length, ranges.length - 1, 'all but the first');
  assert.equal(new Set(all.map(({ reqId }) => reqId)).size, ranges.length, 'each has a number of its own');
  const left = new Set(ranges.map(([first, last]) => last - first + 1));
  const expected = { method: 'GET', url: path, status: 206, remoteAddress: '127.0.0.1' };
  for (const line of all) {
    assert.ok(left.delete(Number(line.bytes)), String(line.bytes));
    for (const [name, value] of Object.entries({ ...expected, outcome: 'complete', engine: 'splice' })) {
      assert.equal(line[name], value, name);
    }
    assert.ok(Number(line.milliseconds) >= 0 && Number(line.time) > 1.7e12);
    assert.deepEqual(Object.keys(line), Object.keys(all[0] ?? {}), 'the same members in the same order');
  }
});

test('a problem is one line of the combined format with its length, from a lane as from Node', async (t) => {
  const logged: string[][] = [];
  for (const express of [true, false]) {
    const served = await serve(t, { express }, 'combined');
    const client = await RawClient.connect(t, served.port);
    client.get(path, '0-9');
    await client.response();
    client.get(path, `${size}-`);
    assert.equal((await client.response()).status, 416);
    client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nIf-Match: "x"\r\n\r\n`);
    assert.equal((await client.response()).status, 412);
    client.write(`HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nIf-Match: "x"\r\n\r\n`);
    assert.equal((await client.response('HEAD')).status, 412);
    client.destroy();
    await until(() => served.lines().length === 4, 'all lines', served.lines);
    const lines = served.lines().map((line) => line.replace(/\[[^\]]*\]/, ''));
    logged.push(lines.sort());
  }
  assert.deepEqual(logged[0], logged[1]);
});

test('an answer of a lane that is broken off is one line with what was sent', async (t) => {
  const served = await serve(t);
  const client = await RawClient.connect(t, served.port);
  for (let again = 0; again < 3; again++) {
    client.get(path, '0-9');
    await client.response();
  }
  client.get(path, '0-');
  await client.take(mebibyte);
  client.reset();
  const line = (await untilLogged(served, 4)).find(({ outcome }) => outcome === 'aborted');
  assert.ok(line && isOfLane(line));
  assert.match(String(line?.code), /^(?:ECONNRESET|EPIPE)$/);
  assert.ok(Number(line?.bytes) >= mebibyte - 1000 && Number(line?.bytes) < size, String(line?.bytes));
});

test('where no requests are logged, no answers of lanes are', async (t) => {
  const { path: file } = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 131);
  const args = ['--region', `file.bin=${file}`, '--log-level', 'warn'];
  const child = startCli(t, ['serve', '--port', '0', ...args]);
  const port = Number(new URL(await originOf(child)).port);
  const client = await RawClient.connect(t, port);
  for (let again = 0; again < 200; again++) {
    client.get(path, '0-9');
    await client.response();
  }
  client.destroy();
  child.process.kill('SIGTERM');
  await child.exited;
  assert.doesNotMatch(child.stdout(), /"msg":"request"/);
});

test('without express every answer is Node’s', async (t) => {
  const served = await serve(t, { express: false });
  const client = await RawClient.connect(t, served.port);
  for (let again = 0; again < 20; again++) {
    client.get(path, '0-9');
    await client.response();
  }
  client.destroy();
  assert.deepEqual((await linesAtEnd(served, 20)).filter(isOfLane), []);
});

test('a writer of another service has its turn when a lane’s connections are idle', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeRegion(dir, 'file.bin', 200_000, 1);
  const one = await startWritable(scope, 'tmpfs', { dir, engine: 'sendfile' });
  const other = await startWritable(scope, 'tmpfs', { dir, engine: 'sendfile' });
  const client = await RawClient.connect(t, one.port);
  const body = Buffer.from('changed');
  const isRefused = async () => {
    await askLane(one, client, { path }, '0-6');
    return (await send(t, other, overwriting(path, 0, body, 0))).status === 503;
  };
  await until(isRefused, 'it is refused, for a lane may answer at any time');
  const isIn = async () => (await send(t, other, overwriting(path, 0, body, 1))).status === 204;
  await until(isIn, 'it is let in');
  await askLane(one, client, { path }, '0-6');
  const before = answersOf(one);
  client.get(path, '0-6');
  assert.equal((await client.response()).body.toString(), 'changed');
  await until(() => answersOf(one) > before, 'and a lane answers with it');
  client.destroy();
});
