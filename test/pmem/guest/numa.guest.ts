/**
 * Two nodes with memory each, and a processor each where the guest has two: where regions are said to be, which lane a
 * connection gets, and what is counted of it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { type Running, startService } from '../../support/service.ts';
import { lastFirst } from '../../support/writable.ts';
import { note } from './note.ts';

const timeout = 60_000;
/** More than goes out before a lane has to help, and a power of two: pages that take turns must not look all alike. */
const size = 8 << 20;
const policies = { 'on-0': 'bind:0', 'on-1': 'bind:1', spread: 'interleave:0-1' } as const;
type Name = keyof typeof policies | 'dax';

const pagesOf = (name: Name) => (name === 'dax' ? 'ext4-dax on node 1' : `tmpfs, mpol=${policies[name]}`);

const nodesWithProcessors = [0, 1].filter(
  (node) => globSync(`/sys/devices/system/node/node${node}/cpu[0-9]*`).length > 0,
);

type Located = { readonly node: number | null; readonly nodes: Record<string, number> };
type Listed = Located & { readonly name: string };

/** A file of the same bytes on each node, on both by turns, and on the device of node 1. */
async function serveAll(t: TestContext): Promise<Running> {
  const scope = lastFirst(t);
  const onTmpfs = Object.entries(policies).map(([name, policy]) => ({ name, folder: mountTmpfs(scope, name, policy) }));
  const all = [...onTmpfs, { name: 'dax', folder: makeFolder(scope as TestContext, 'ext4-dax') }];
  const regions = all.map(({ name, folder }) => writeRegion(folder, name, size, 1));
  return startService(scope, { regions, lanes: 2 });
}

function mountTmpfs(scope: Pick<TestContext, 'after'>, name: string, policy: string): string {
  const folder = `/tmp/numa-${name}`;
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mpol=${policy}`, 'tmpfs', folder]);
  scope.after(() => execFileSync('umount', ['-l', folder]));
  return folder;
}

async function located({ service }: Running): Promise<Record<Name, Located>> {
  const { regions } = (await service.app.inject({ url: '/regions' })).json() as { regions: Listed[] };
  return Object.fromEntries(regions.map(({ name, node, nodes }) => [name, { node, nodes }])) as Record<Name, Located>;
}

test('/regions tells the node of a region, and the shares of both where its pages are spread', {
  timeout,
}, async (t) => {
  const regions = await located(await serveAll(t));
  const told = Object.entries(regions).map(([name, at]) => [pagesOf(name as Name), at]);
  note('nodes of regions', { regions: Object.fromEntries(told) });
  assert.deepEqual([regions['on-0'].node, regions['on-0'].nodes], [0, { 0: 1 }]);
  assert.deepEqual([regions['on-1'].node, regions['on-1'].nodes], [1, { 1: 1 }]);
  assert.deepEqual([regions.dax.node, regions.dax.nodes], [1, { 1: 1 }]);
  const { node, nodes } = regions.spread;
  const shares = [nodes[0] ?? 0, nodes[1] ?? 0] as const;
  assert.ok(Math.abs(shares[0] - shares[1]) < 0.25, `about half of its pages on each: ${JSON.stringify(nodes)}`);
  assert.equal(node, shares[0] >= shares[1] ? 0 : 1);
});

/** A thread that carries transmissions: where it may run, and for how long it has. */
type Lane = { readonly thread: string; readonly processors: string; readonly nanoseconds: number };

function lanes(): Lane[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    const about = (what: string) => readFileSync(`/proc/self/task/${thread}/${what}`, 'latin1');
    if (!about('comm').startsWith('pagerelay-lane')) return [];
    const [, processors = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(about('status')) ?? [];
    return [{ thread, processors, nanoseconds: Number(about('schedstat').split(' ')[0]) }];
  });
}

test('lanes sit on the nodes that have processors', { timeout }, async (t) => {
  await startService(t, { lanes: 2 });
  // The guest's processors have the numbers of their nodes.
  const expected = nodesWithProcessors.length === 2 ? ['0', '1'] : ['0', '0'];
  assert.deepEqual(
    lanes()
      .map(({ processors }) => processors)
      .sort(),
    expected,
  );
});

type Bytes = { readonly local: number; readonly remote: number };

async function bytesByLocality({ service }: Running): Promise<Bytes> {
  const metrics = (await service.app.inject({ url: '/metrics' })).body;
  const of = (locality: keyof Bytes) =>
    Number(new RegExp(`^pagerelay_numa_bytes_total{locality="${locality}"} (\\d+)$`, 'm').exec(metrics)?.[1]);
  return { local: of('local'), remote: of('remote') };
}

/** Reads a region to its end. What that was counted as, and the processors of the lane that has done most of it. */
async function readAll(running: Running, client: RawClient, name: Name): Promise<Bytes & { by: string }> {
  const before = { bytes: await bytesByLocality(running), lanes: lanes() };
  client.get(`/regions/${name}`);
  const { status, body } = await client.response();
  assert.deepEqual([status, sha256(body)], [200, sha256(seededBytes(size, 1))]);
  const { local, remote } = await bytesByLocality(running);
  const ran = ({ thread, nanoseconds }: Lane) =>
    nanoseconds - (before.lanes.find((lane) => lane.thread === thread)?.nanoseconds ?? 0);
  const [busiest] = lanes().sort((a, b) => ran(b) - ran(a));
  return { local: local - before.bytes.local, remote: remote - before.bytes.remote, by: busiest?.processors ?? '' };
}

test('a connection gets a lane on the node of the first region that it asks for', { timeout }, async (t) => {
  const running = await serveAll(t);
  const onItsNode = { local: size, remote: 0 };
  const elsewhere = { local: 0, remote: size };
  for (const [first, node] of [
    ['on-0', 0],
    ['on-1', 1],
    ['dax', 1],
  ] as const) {
    const client = await RawClient.connect(t, running.port);
    const hasLane = nodesWithProcessors.includes(node);
    const lane = hasLane ? node : 0;
    for (const name of [first, 'on-0', 'on-1', 'dax'] as const) {
      const expected = (name === 'on-0' ? 0 : 1) === lane ? onItsNode : elsewhere;
      const { by, ...bytes } = await readAll(running, client, name);
      assert.deepEqual(bytes, expected, `${name} on a connection that asked for ${first} first`);
      assert.equal(by, `${lane}`, `${name} on a connection that asked for ${first} first`);
    }
    client.destroy();
  }
  note('bytes by locality', await bytesByLocality(running));
});
