/** Peers in another network namespace of this kernel: what is known of them, and when their references go. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ServiceOptions } from '../../src/service.ts';
import type { ListedReference } from '../support/holds.ts';
import {
  makeNamespaces,
  type Namespace,
  namespacesMissing,
  startDropping,
  stopDropping,
} from '../support/namespaces.ts';
import { until } from '../support/poll.ts';
import { type Child, start } from '../support/process.ts';
import { makeFolder, sha256OfFile, writeRegion } from '../support/regions.ts';
import { type Pretence, pretendingEnvironment } from '../support/testing-shim.ts';

const mebibyte = 1 << 20;
const missing = namespacesMissing();
const fixture = fileURLToPath(new URL('../support/serve-fixture.ts', import.meta.url));
const slowClient = fileURLToPath(new URL('../support/slow-client.ts', import.meta.url));

type Scene = {
  readonly client: Namespace;
  readonly path: string;
  readonly port: number;
  ask(range: string): Promise<Child>;
  references(): Promise<ListedReference[]>;
  metric(line: RegExp): Promise<number>;
};

const remote: Pretence = { peerKind: 'remote' };

async function setScene(t: TestContext, options: Partial<ServiceOptions>, pretence: Pretence = {}): Promise<Scene> {
  const { server, client } = await makeNamespaces(t);
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 24 * mebibyte, 91);
  const env = pretendingEnvironment(pretence);
  const inside = (namespace: Namespace, ...args: string[]) =>
    start(t, 'ip', ['netns', 'exec', namespace.name, process.execPath, ...args], env);
  const service = inside(server, fixture, JSON.stringify({ ...options, regions: [file] }));
  await until(
    () => /port \d+/.test(service.stdout()),
    'the service listens',
    () => service.stderr(),
  );
  const port = Number(/port (\d+)/.exec(service.stdout())?.[1]);
  const get = (path: string) => server.run('curl', '-sS', `http://127.0.0.1:${port}${path}`);
  return {
    client,
    path: file.path,
    port,
    async ask(range) {
      const child = inside(client, slowClient, server.address, String(port), '/regions/file.bin', range);
      await until(
        () => child.stdout().includes('asked'),
        'the client has asked',
        () => child.stderr(),
      );
      return child;
    },
    references: async () => (JSON.parse(await get('/references')) as { references: ListedReference[] }).references,
    metric: async (line) => Number(line.exec(await get('/metrics'))?.[1]),
  };
}

async function readsRight(child: Child, path: string, first: number, last: number): Promise<void> {
  child.process.stdin.write('read\n');
  await child.exited;
  assert.match(child.stdout(), new RegExp(`got 206 ${sha256OfFile(path, first, last)}`), child.stderr());
}

const completeBySendfile = /^pagerelay_transmissions_total\{engine="sendfile",outcome="complete"\} (\d+)$/m;

test('a peer behind a virtual device is unaskable and gets a copy', { skip: missing }, async (t) => {
  const scene = await setScene(t, {});
  const last = 20 * mebibyte;
  const reader = await scene.ask(`0-${last}`);
  await until(async () => (await scene.references()).length > 0, 'the response is on its way');
  const [reference] = await scene.references();
  assert.deepEqual([reference?.peerKind, reference?.engine, reference?.state], ['unaskable', 'copy', 'unsent']);
  await readsRight(reader, scene.path, 0, last);
  assert.deepEqual(await scene.references(), []);
  assert.equal(await scene.metric(/^pagerelay_sent_bytes_total\{engine="copy"\} (\d+)$/m), last + 1);
  assert.equal(await scene.metric(/^pagerelay_sent_bytes_total\{engine="sendfile"\} (\d+)$/m), 0);
});

test('over a virtual cable the kernel copies what zerocopy sends, says so, and lets go before it is read', {
  skip: missing,
}, async (t) => {
  const scene = await setScene(t, { engine: 'zerocopy' });
  const reader = await scene.ask('100-30099');
  const sends = (result: string) =>
    scene.metric(new RegExp(`^pagerelay_zerocopy_sends_total\\{result="${result}"\\} (\\d+)$`, 'm'));
  await until(async () => (await sends('copied')) > 0, 'SO_EE_CODE_ZEROCOPY_COPIED');
  await until(async () => (await scene.references()).length === 0, 'nothing is held, though nothing has been read');
  assert.equal(await sends('uncopied'), 0);
  const copied = await scene.metric(/^pagerelay_copied_bytes_total\{engine="zerocopy"\} (\d+)$/m);
  assert.equal(copied, 30_000);
  await readsRight(reader, scene.path, 100, 30_099);
});

test('a remote peer has it all when it has acknowledged it', { skip: missing }, async (t) => {
  const scene = await setScene(t, {}, remote);
  const reader = await scene.ask('100-30099');
  const complete = async () => (await scene.metric(completeBySendfile)) === 1;
  await until(complete, 'it is accepted');
  await until(async () => (await scene.references()).length === 0, 'it goes although nothing has been read');
  await readsRight(reader, scene.path, 100, 30_099);
});

test('what a remote peer has not acknowledged is held', { skip: missing }, async (t) => {
  const scene = await setScene(t, {}, remote);
  await startDropping(scene.client, `tcp sport ${scene.port} ip length > 200`);
  const reader = await scene.ask('100-30099');
  const complete = async () => (await scene.metric(completeBySendfile)) === 1;
  await until(complete, 'it is accepted');
  for (let look = 0; look < 5; look++) {
    const [reference] = await scene.references();
    const { state, first, last, bytes, peerKind } = reference ?? {};
    const held = { state: 'sent', first: 100, last: 30_099, bytes: 30_000, peerKind: 'remote' };
    assert.deepEqual({ state, first, last, bytes, peerKind }, held);
    await delay(100);
  }
  await stopDropping(scene.client);
  await until(async () => (await scene.references()).length === 0, 'it goes once it arrives');
  await readsRight(reader, scene.path, 100, 30_099);
});

test('under random loss every byte arrives, and every reference goes', {
  skip: missing,
}, async (t) => {
  const scene = await setScene(t, { engine: 'splice' }, remote);
  await startDropping(scene.client, `tcp sport ${scene.port} numgen random mod 100 < 30`);
  const reader = await scene.ask(`1-${mebibyte}`);
  await readsRight(reader, scene.path, 1, mebibyte);
  await until(async () => (await scene.references()).length === 0, 'it goes');
});
