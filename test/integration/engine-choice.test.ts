/** Where the witness's word shows: the choice of engines, listings, metrics, the log, and what counts as copied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/poll.ts';
import { type Child, originOf, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';
import { type Pretence, pretend, pretendingEnvironment } from '../support/testing-shim.ts';

type Claims = NonNullable<Pretence['witnessSays']>;

const size = 1_000_000;
/** Bytes: what is shorter goes by the engine that is listed, on tmpfs. */
const largeFrom = 131_072;
const copying: Claims = { sendfile: false, splice: false };

async function seen({ service }: Running) {
  const listing = (await service.app.inject({ url: '/regions' })).json() as { regions: Record<string, unknown>[] };
  const metrics = (await service.app.inject({ url: '/metrics' })).body;
  return { region: listing.regions[0] ?? {}, metrics };
}

function sample(metrics: string, name: string): number {
  const line = metrics.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

const choices: readonly (readonly [string, Claims, string, string, string])[] = [
  ['what this kernel does', {}, 'sendfile', 'splice', 'yes'],
  ['a kernel whose sendfile copies', { sendfile: false }, 'splice', 'splice', 'yes'],
  ['a kernel whose vmsplice copies', { splice: false }, 'sendfile', 'sendfile', 'yes'],
  ['a kernel whose vmsplice copies too', copying, 'copy', 'copy', 'no'],
];

for (const [kernel, witnessSays, engine, large, copyFree] of choices) {
  test(`listing, metrics and bytes follow ${kernel}`, async (t) => {
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size);
    pretend(t, { witnessSays });
    const running = await startService(t, { regions: [file] });
    const client = await RawClient.connect(t, running.port);
    client.get('/regions/file.bin');
    assert.equal((await client.response()).body.length, size);
    const { region, metrics } = await seen(running);
    assert.deepEqual([region.engine, region.copyFree], [engine, copyFree === 'yes']);
    const info = `pagerelay_engine_info{backing="tmpfs",engine="${engine}",copy_free="${copyFree}"}`;
    assert.equal(sample(metrics, info), 1);
    assert.equal(metrics.match(/^pagerelay_engine_info\{/gm)?.length, 1);
    assert.equal(sample(metrics, `pagerelay_sent_bytes_total{engine="${large}"}`), size);
    const copied = sample(metrics, `pagerelay_copied_bytes_total{engine="${large}"}`);
    assert.equal(copied, copyFree === 'yes' ? 0 : size);
    client.get('/regions/file.bin', `0-${largeFrom - 2}`);
    assert.equal((await client.response()).body.length, largeFrom - 1);
    const both = engine === large ? size + largeFrom - 1 : largeFrom - 1;
    assert.equal(sample((await seen(running)).metrics, `pagerelay_sent_bytes_total{engine="${engine}"}`), both);
  });
}

test('an engine that was asked for and copies is named for it, and done when accepted', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size);
  pretend(t, { witnessSays: copying });
  const running = await startService(t, { regions: [file], engine: 'sendfile' });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin', '0-9999');
  const { relay } = running.service;
  await until(() => relay.counters().transmissions.sendfile.complete === 1, 'it is accepted');
  assert.deepEqual(relay.references().items, [], 'though nobody has read it');
  const { region, metrics } = await seen(running);
  assert.deepEqual([region.engine, region.copyFree], ['sendfile', false]);
  assert.equal(sample(metrics, 'pagerelay_copied_bytes_total{engine="sendfile"}'), 10_000);
});

test('what stands between the parts of a body is nobody’s pages', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size);
  for (const engine of ['copy', 'stream', 'sendfile'] as const) {
    const { service, port } = await startService(t, { regions: [file], engine });
    const client = await RawClient.connect(t, port);
    client.get('/regions/file.bin', '1-100,1000-1199,500000-900000');
    const { body } = await client.response();
    const { sentBytes, copiedBytes } = service.relay.counters();
    assert.equal(sentBytes[engine], body.length);
    assert.equal(copiedBytes[engine], engine === 'sendfile' ? 0 : 100 + 200 + 400_001);
  }
});

test('zerocopy counts what its notices say was copied, and what it did not try, to the byte', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size);
  const { service, port } = await startService(t, { regions: [file], engine: 'zerocopy' });
  const client = await RawClient.connect(t, port);
  for (const range of ['0-99', `0-${size - 1}`, '5-20004']) {
    client.get('/regions/file.bin', range);
    await client.response();
  }
  const { relay } = service;
  await until(() => relay.references().items.length === 0, 'all notices are there');
  assert.equal(relay.counters().copiedBytes.zerocopy, 100 + size + 20_000);
});

test('bytes are counted by where their pages and their lane are', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size);
  const running = await startService(t, { regions: [file] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin');
  await client.response();
  const { region, metrics } = await seen(running);
  const byLocality = ['local', 'remote', 'unknown'].map((locality) =>
    sample(metrics, `pagerelay_numa_bytes_total{locality="${locality}"}`),
  );
  assert.equal(
    byLocality.reduce((sum, bytes) => sum + bytes, 0),
    size,
  );
  const shares = Object.values(region.nodes as Record<string, number>);
  assert.equal(
    shares.reduce((sum, share) => sum + share, 0),
    1,
    'pages that are there are all on some node',
  );
  assert.ok(Object.hasOwn(region.nodes as object, String(region.node)));
});

type Line = Readonly<Record<string, unknown>>;

/** They stand before the one that tells where it listens. */
async function engineLines(child: Child, about = 'is sent by'): Promise<Line[]> {
  await until(
    () => child.stdout().includes('Server listening'),
    'it listens',
    () => child.stderr(),
  );
  const lines = child
    .stdout()
    .split('\n')
    .filter((line) => line.includes(about));
  return lines.map((line) => JSON.parse(line) as Line);
}

test('at start the log has a line for each backing, with the engine and why', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const one = writeRegion(makeFolder(t, 'tmpfs'), 'one', 10);
  const two = writeRegion(makeFolder(t, 'ext4'), 'two', 10);
  const files = ['--region', `one=${one.path}`, '--region', `two=${two.path}`];
  const child = startCli(t, ['serve', '--port', '0', '--dir', dir, ...files]);
  const lines = await engineLines(child);
  const told = lines.map(({ backing, engine, copyFree, sources }) => ({ backing, engine, copyFree, sources }));
  assert.deepEqual(told, [
    { backing: 'tmpfs', engine: 'sendfile', copyFree: true, sources: [`--dir ${dir}`, 'one'] },
    { backing: 'pagecache', engine: 'sendfile', copyFree: true, sources: ['two'] },
  ]);
  assert.match(String(lines[0]?.because), /seen to send pages of tmpfs without a copy/);
  const metrics = await (await fetch(`${await originOf(child)}/metrics`)).text();
  for (const backing of ['tmpfs', 'pagecache']) {
    const info = `pagerelay_engine_info{backing="${backing}",engine="sendfile",copy_free="yes"}`;
    assert.equal(sample(metrics, info), 1, 'before anything was asked for');
  }
});

test('at start the log tells by which means regions are overwritten in place, where they can be changed', async (t) => {
  const child = startCli(t, ['serve', '--port', '0', '--writable', '--dir', makeFolder(t, 'tmpfs')]);
  const lines = await engineLines(child, 'is overwritten in place');
  const told = lines.map(({ backing, means, because }) => [backing, means, because]);
  assert.deepEqual(told, [['tmpfs', 'punch', 'it was seen to leave pages of tmpfs in flight as they are']]);
});

test('a log of a service that copies says why', async (t) => {
  const env = pretendingEnvironment({ witnessSays: copying });
  const child = startCli(t, ['serve', '--port', '0', '--dir', makeFolder(t, 'tmpfs')], env);
  const [line] = await engineLines(child);
  assert.deepEqual([line?.engine, line?.copyFree], ['copy', false]);
  assert.match(String(line?.because), /every other engine was seen to copy from tmpfs/);
});
