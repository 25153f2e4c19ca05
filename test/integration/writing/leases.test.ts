/** `/leases`: processes that map a region's file and write to it themselves. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Lease } from '../../../src/region/change/leases.ts';
import { holdingEngine } from '../../support/engines.ts';
import { outcomesOf } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { RawClient, type RawResponse } from '../../support/raw.ts';
import { makeFolder, type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { ask, askForRange, type Change, change, overwriting } from '../../support/requests.ts';
import type { Running } from '../../support/service.ts';
import { fileIn, makeTree, read, refusalIn, send, startWritable, untilWaiting } from '../../support/writable.ts';

const size = 200_000;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);
const json = { 'content-type': 'application/json' };

type Asked = { region?: unknown; first?: unknown; last?: unknown; ttlSeconds?: unknown; owner?: unknown };

function leasing(asked: Asked, waitSeconds?: number): Change {
  const fields = waitSeconds === undefined ? json : { ...json, prefer: `wait=${waitSeconds}` };
  const body = Buffer.from(JSON.stringify({ region: 'file.bin', first: 0, last: 8191, ttlSeconds: 60, ...asked }));
  return { method: 'POST', path: '/leases', fields, body };
}

function leaseIn({ status, body }: RawResponse): Lease {
  assert.ok(status === 200 || status === 201, `${status} ${body}`);
  return JSON.parse(body.toString()) as Lease;
}

async function listed(t: TestContext, running: Running): Promise<Lease[]> {
  const { body } = await send(t, running, { method: 'GET', path: '/leases' });
  return (JSON.parse(body.toString()) as { leases: Lease[] }).leases;
}

async function startWithFile(
  t: TestContext,
  place: Place = 'tmpfs',
  options: Parameters<typeof startWritable>[2] = {},
) {
  const running = await startWritable(t, place, options);
  writeRegion(running.dir, 'file.bin', size, 1);
  return running;
}

function versionOf(etag: string): number {
  return Number(/\.(\d+)"$/.exec(etag)?.[1] ?? assert.fail(etag));
}

test('a lease says what it is, is listed, renewed and ended', async (t) => {
  const running = await startWithFile(t);
  const client = await RawClient.connect(t, running.port);
  const asked = leasing({ first: 100, last: 9000, ttlSeconds: 100, owner: 'a program' });
  const made = await change(client, { ...asked, path: '/leases?by=test' });
  assert.equal(made.status, 201);
  const { id, expiresAt, ...rest } = leaseIn(made);
  const left = Date.parse(expiresAt) - Date.now();
  assert.ok(left > 95_000 && left <= 100_000, expiresAt);
  const owner = `a program 127.0.0.1:${client.localPort}`;
  assert.deepEqual(rest, { region: 'file.bin', first: 100, last: 9000, path: `${running.dir}/file.bin`, owner });
  const address = `/leases/${id}`;
  assert.equal(made.fields.get('location'), address);
  assert.deepEqual(await listed(t, running), [{ id, expiresAt, ...rest }]);
  assert.equal(running.service.relay.counters().leases, 1);

  const renewed = leaseIn(
    await change(client, { method: 'PUT', path: address, fields: json, body: Buffer.from('{"ttlSeconds":200}') }),
  );
  assert.ok(Date.parse(renewed.expiresAt) > Date.parse(expiresAt));
  assert.deepEqual(await listed(t, running), [renewed]);
  assert.equal((await change(client, { method: 'DELETE', path: address })).status, 204);
  assert.deepEqual(await listed(t, running), []);
  assert.equal(running.service.relay.counters().leases, 0);
  for (const method of ['PUT', 'DELETE']) {
    const body = Buffer.from('{"ttlSeconds":5}');
    const gone = await change(client, { method, path: address, ...(method === 'PUT' ? { fields: json, body } : {}) });
    assert.deepEqual(refusalIn(gone), [404, 'lease-not-found']);
  }
  client.destroy();
});

const refused: readonly (readonly [Asked, number, string])[] = [
  [{ region: 'none' }, 404, 'region-not-found'],
  [{ region: 'single' }, 404, 'region-not-found'],
  [{ region: '../x' }, 400, 'bad-name'],
  [{ region: 5 }, 400, 'bad-name'],
  [{ last: size }, 416, 'range-not-satisfiable'],
  [{ first: 5, last: 4 }, 400, 'bad-request'],
  [{ first: -1 }, 400, 'bad-request'],
  [{ first: 0.5 }, 400, 'bad-request'],
  [{ last: '5' }, 400, 'bad-request'],
  [{ ttlSeconds: 0 }, 400, 'bad-request'],
  [{ ttlSeconds: 301 }, 400, 'bad-request'],
  [{ ttlSeconds: undefined }, 400, 'bad-request'],
  [{ owner: 5 }, 400, 'bad-request'],
  [{ owner: 'x'.repeat(101) }, 400, 'bad-request'],
];

test('what is no lease is refused, and moves nothing', async (t) => {
  const single = writeRegion(makeFolder(t, 'tmpfs'), 'single', size);
  const running = await startWithFile(t, 'tmpfs', { regions: [single] });
  const { etag } = await read(t, running, 'file.bin');
  for (const [asked, status, code] of refused) {
    const answer = await send(t, running, leasing(asked));
    assert.deepEqual(refusalIn(answer), [status, code], JSON.stringify(asked));
    if (status === 416) assert.equal(answer.fields.get('content-range'), `bytes */${size}`);
  }
  for (const body of ['', '[]', 'null', '{']) {
    const answer = await send(t, running, { ...leasing({}), body: Buffer.from(body) });
    assert.deepEqual(refusalIn(answer), [400, 'bad-request'], body);
  }
  const typed = await send(t, running, { ...leasing({}), fields: { 'content-type': 'text/plain' } });
  assert.deepEqual(refusalIn(typed), [415, 'unsupported-media-type']);
  const put = await send(t, running, { method: 'PUT', path: '/leases', fields: json, body: Buffer.from('{}') });
  assert.deepEqual([put.status, put.fields.get('allow')], [405, 'GET, HEAD, POST, OPTIONS']);
  assert.deepEqual(await listed(t, running), []);
  assert.equal((await read(t, running, 'file.bin')).etag, etag);
});

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`readers of leased pages wait for its end, others do not, on ${place}`, async (t) => {
    const running = await startWithFile(t, place);
    const { id } = leaseIn(await send(t, running, leasing({ first: 5000, last: 9000 })));
    const reader = await RawClient.connect(t, running.port);
    askForRange(reader, path, '0-20000');
    await until(() => running.service.relay.counters().waitingReaders === 1, 'it waits');
    for (const range of ['0-4095', '12288-20000', '100000-199999']) {
      const other = await send(t, running, { method: 'GET', path, fields: { range: `bytes=${range}` } });
      assert.equal(other.status, 206, 'whole pages are leased');
    }
    assert.deepEqual(refusalIn(await send(t, running, leasing({ first: 4096, last: 4096 }, 0))), [409, 'range-busy']);
    const part = await send(t, running, overwriting(path, 12_000, Buffer.alloc(1000), 0));
    assert.deepEqual(refusalIn(part), [409, 'range-busy'], 'other writers are kept out');
    assert.equal((await send(t, running, { method: 'DELETE', path: `/leases/${id}` })).status, 204);
    const { status, fields, body } = await reader.response();
    assert.equal(status, 206);
    assert.ok(body.equals(old.subarray(0, 20_001)));
    assert.equal(versionOf(fields.get('etag') ?? ''), 1);
    reader.destroy();
  });
}

test('a reader that a lease keeps out for --max-wait is told 503, with Range without a body', async (t) => {
  const running = await startWithFile(t, 'tmpfs', { maxWait: 0.05 });
  const { id } = leaseIn(await send(t, running, leasing({})));
  const ranged = await send(t, running, { method: 'GET', path, fields: { range: 'bytes=0-9' } });
  assert.equal(ranged.status, 503);
  assert.equal(ranged.body.length, 0, 'nothing that could be taken for the range');
  const { fields } = ranged;
  assert.deepEqual([fields.get('content-length'), fields.get('content-type')], ['0', undefined]);
  assert.equal(fields.get('retry-after'), '1');
  assert.deepEqual(refusalIn(await send(t, running, { method: 'GET', path })), [503, 'region-leased']);
  assert.equal((await send(t, running, { method: 'DELETE', path: `/leases/${id}` })).status, 204);
  assert.equal((await send(t, running, { method: 'GET', path, fields: { range: 'bytes=0-9' } })).status, 206);
});

test('a lease waits for readers of its pages', async (t) => {
  const running = await startWithFile(t, 'tmpfs', { engine: holdingEngine });
  const reader = await RawClient.connect(t, running.port);
  askForRange(reader, path, '0-8191');
  await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
  const late = await send(t, running, leasing({}, 0));
  assert.deepEqual(refusalIn(late), [409, 'range-busy'], 'its holder writes to the pages that were sent');
  assert.equal(late.fields.get('retry-after'), '1');
  const client = await RawClient.connect(t, running.port);
  ask(client, leasing({}, 10));
  await untilWaiting(running, 1);
  await reader.response();
  assert.equal((await client.response()).status, 201);
  for (const each of [reader, client]) each.destroy();
});

test('a client that goes away while it waits leaves no claim and no lease', async (t) => {
  const running = await startWithFile(t, 'tmpfs', { engine: holdingEngine });
  const { id } = leaseIn(await send(t, running, leasing({})));
  const client = await RawClient.connect(t, running.port);
  ask(client, leasing({}, 60));
  await untilWaiting(running, 1);
  client.reset();
  await untilWaiting(running, 0);
  assert.equal((await send(t, running, { method: 'DELETE', path: `/leases/${id}` })).status, 204);
  assert.deepEqual(await listed(t, running), []);
  assert.equal((await read(t, running, 'file.bin')).status, 200);
});

test('a lease that is not renewed ends by its time, and the version moves once more', async (t) => {
  const running = await startWithFile(t);
  const lease = leaseIn(await send(t, running, leasing({ ttlSeconds: 2 })));
  const others = { method: 'GET', path, fields: { range: 'bytes=100000-100001' } };
  assert.equal(versionOf((await send(t, running, others)).fields.get('etag') ?? ''), 1, 'granted');
  const waiting = await read(t, running, 'file.bin');
  assert.equal(versionOf(waiting.etag), 2, 'expired');
  assert.deepEqual(await listed(t, running), []);
  const renewing = { method: 'PUT', path: `/leases/${lease.id}`, fields: json, body: Buffer.from('{"ttlSeconds":5}') };
  assert.equal((await send(t, running, renewing)).status, 404);
  const metrics = await send(t, running, { method: 'GET', path: '/metrics' });
  assert.match(metrics.body.toString(), /^pagerelay_expired_leases_total 1$/m);
});

test('a lease that is renewed lives on', async (t) => {
  const running = await startWithFile(t);
  const { id, expiresAt } = leaseIn(await send(t, running, leasing({ ttlSeconds: 2 })));
  const renewing = { method: 'PUT', path: `/leases/${id}`, fields: json, body: Buffer.from('{"ttlSeconds":60}') };
  assert.equal((await send(t, running, renewing)).status, 200);
  await until(() => Date.now() > Date.parse(expiresAt) + 100, 'its first time is over');
  assert.equal((await listed(t, running)).length, 1);
});

test('whoever holds a lease, a region can be replaced and removed', async (t) => {
  const running = await startWithFile(t);
  for (const request of [
    { method: 'PUT', path, body: Buffer.from('new') },
    { method: 'DELETE', path },
  ]) {
    const last = fileIn(running, 'file.bin').length - 1;
    const { id } = leaseIn(await send(t, running, leasing({ last })));
    assert.equal((await send(t, running, request)).status, 204);
    if (request.method === 'PUT') assert.equal((await read(t, running, 'file.bin')).sha256, sha256(Buffer.from('new')));
    assert.equal((await send(t, running, { method: 'DELETE', path: `/leases/${id}` })).status, 204);
  }
  assert.equal(running.service.relay.counters().leases, 0);
});

test('a service that ends while a lease is held leaves no tag that stands for other bytes', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeRegion(dir, 'file.bin', size, 1);
  const running = await startWritable(scope, 'tmpfs', { dir });
  const shown = [(await read(t, running, 'file.bin')).etag];
  assert.equal((await send(t, running, leasing({}))).status, 201);
  const other = { method: 'GET', path, fields: { range: 'bytes=100000-100001' } };
  shown.push((await send(t, running, other)).fields.get('etag') ?? '');
  await running.close();
  const next = await startWritable(scope, 'tmpfs', { dir });
  assert.ok(!shown.includes((await read(t, next, 'file.bin')).etag));
});
