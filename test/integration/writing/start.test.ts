/** What can be asked for while a tree is looked at for the first time. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { TreeLock } from '../../../src/region/tree-lock.ts';
import { NativeRelay } from '../../../src/relay/native-relay.ts';
import { openRelay } from '../../../src/relay/open-relay.ts';
import { SystemError } from '../../../src/relay/relay.ts';
import { createService } from '../../../src/service.ts';
import { until } from '../../support/poll.ts';
import { writeRegion } from '../../support/regions.ts';
import { type Change, codeOf } from '../../support/requests.ts';
import { serviceDefaults, startService } from '../../support/service.ts';
import { makeTree, read, send, startWritable } from '../../support/writable.ts';

const at = (seconds: number) => ({ prefer: `wait=${seconds}` });
const putting = (name: string, seconds: number): Change => ({
  ...{ method: 'PUT', path: `/regions/${name}`, body: Buffer.from('new') },
  fields: at(seconds),
});

/** Another service that puts a tree right, until it is told to end. */
function recovering(dir: string): { end(): Promise<void> } {
  const relay = openRelay({ lanes: 1, maxHold: 10 });
  assert.ok(relay instanceof NativeRelay);
  const lock = new TreeLock(relay, relay.openTree(dir));
  const ended = Promise.withResolvers<void>();
  const alone = lock.whileAlone(() => ended.promise);
  return {
    async end() {
      ended.resolve();
      assert.ok(await alone);
      lock.close();
      await relay.close();
    },
  };
}

async function startBeside(t: TestContext) {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeRegion(dir, 'old', 100);
  const other = recovering(dir);
  scope.after(() => other.end());
  return { other, dir, ...(await startService(scope, { dir, writable: true, drain: 0 })) };
}

test('while a tree is not ready for changes it is read and listed; changes wait, as long as they want', async (t) => {
  const running = await startBeside(t);
  const get = (path: string) => send(t, running, { method: 'GET', path });
  assert.equal((await get('/readyz')).status, 200);
  assert.equal((await read(t, running, 'old')).status, 200);
  assert.equal((await get('/regions')).status, 200);
  assert.equal((await get('/leases')).status, 200);
  const lease = { region: 'old', first: 0, last: 0, ttlSeconds: 1 };
  const refused: Change[] = [
    putting('new', 0),
    { method: 'DELETE', path: '/regions/old', fields: at(0) },
    {
      method: 'PATCH',
      path: '/regions/old',
      body: Buffer.from('{"size":1}'),
      fields: { ...at(0), 'content-type': 'application/merge-patch+json' },
    },
    {
      method: 'POST',
      path: '/leases',
      body: Buffer.from(JSON.stringify(lease)),
      fields: { ...at(0), 'content-type': 'application/json' },
    },
  ];
  for (const change of refused) {
    const answer = await send(t, running, change);
    assert.deepEqual([answer.status, codeOf(answer), answer.fields.get('retry-after')], [503, 'starting', '1']);
  }
  const waiting = send(t, running, putting('new', 60));
  await running.other.end();
  assert.equal((await waiting).status, 201);
});

test('a service ends while its start goes on', async (t) => {
  const running = await startBeside(t);
  const waiting = send(t, running, putting('new', 60)).catch(() => undefined);
  await until(() => running.service.app.server.connections !== 0, 'somebody waits');
  await running.close();
  assert.notEqual((await waiting)?.status, 201);
});

async function startUncounted(t: TestContext, maxBytes: number | undefined) {
  const { dir, scope } = makeTree(t, 'tmpfs');
  for (let each = 0; each < 10; each++) writeRegion(dir, `d${each}/old`, 100);
  const service = createService({ ...serviceDefaults, dir, writable: true, drain: 0, maxBytes });
  scope.after(() => service.close());
  const sizes = service.catalog.list.sizes.bind(service.catalog.list);
  let fails = true;
  service.catalog.list.sizes = async function* () {
    for await (const some of sizes()) {
      if (fails) throw new SystemError('EIO', 'd5');
      yield some;
    }
  };
  await service.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = service.app.server.address() as AddressInfo;
  const mend = () => {
    fails = false;
  };
  return { port, service, mend };
}

test('a tree that can not be counted has no room under its quota, until it can', async (t) => {
  const { port, service, mend } = await startUncounted(t, 1005);
  const refused = await send(t, { port }, putting('new', 0));
  assert.deepEqual([refused.status, codeOf(refused)], [503, 'starting']);
  mend();
  assert.equal((await send(t, { port }, putting('new', 60))).status, 201);
  assert.equal(service.writer?.store.quota.used, 1003);
  assert.equal((await send(t, { port }, putting('more', 60))).status, 507);
});

test('without a quota nobody waits for the count, which comes right all the same', async (t) => {
  const { port, service, mend } = await startUncounted(t, undefined);
  assert.equal((await send(t, { port }, putting('new', 60))).status, 201);
  assert.equal((await send(t, { port }, { method: 'DELETE', path: '/regions/d3/old' })).status, 204);
  mend();
  await until(() => service.writer?.store.quota.used === 903, 'it is counted');
});

test('a start that has nothing to wait for is over when the service listens', async (t) => {
  const { service } = await startWritable(t);
  assert.equal(service.writer?.start.isOver, true);
});
