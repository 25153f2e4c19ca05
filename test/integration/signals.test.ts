/** What each signal has the service do: the table of docs/operations.md. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/poll.ts';
import { type Child, originOf, start, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';

const mebibyte = 1 << 20;
const cleanExit = { code: 0, signal: null };
const root = fileURLToPath(new URL('../..', import.meta.url));

type Served = { readonly child: Child; readonly port: number; readonly file: RegionFile };

async function serve(t: TestContext, args: readonly string[] = [], by = startCli): Promise<Served> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 24 * mebibyte, 111);
  const child = by(t, ['serve', '--port', '0', '--region', `file.bin=${file.path}`, ...args]);
  return { child, port: Number(new URL(await originOf(child)).port), file };
}

async function inMidBody(t: TestContext, { port }: Served): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  client.get('/regions/file.bin', undefined, 'Connection: close\r\n');
  await client.head();
  await client.take(mebibyte);
  return client;
}

async function checkRest(client: RawClient, { file }: Served): Promise<void> {
  const { bytes, sha256 } = await client.rest();
  assert.deepEqual([bytes, sha256], [file.size - mebibyte, sha256OfFile(file.path, mebibyte, file.size - 1)]);
  client.destroy();
}

async function statusOf(t: TestContext, port: number, path: string, fields = ''): Promise<number> {
  const client = await RawClient.connect(t, port);
  client.get(path, undefined, fields);
  return (await client.response()).status;
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
  test(`${signal} lets what is in flight complete, and ends it`, async (t) => {
    const served = await serve(t);
    const client = await inMidBody(t, served);
    served.child.process.kill(signal);
    await until(() => served.child.stdout().includes('draining'), 'it drains');
    await checkRest(client, served);
    assert.deepEqual(await served.child.exited, cleanExit);
  });
}

test('SIGUSR1 and SIGPIPE do nothing, and open no debugger', async (t) => {
  const served = await serve(t);
  const listening = listenersOf(served);
  for (const signal of ['SIGUSR1', 'SIGPIPE'] as const) {
    const client = await inMidBody(t, served);
    for (let sent = 0; sent < 3; sent++) served.child.process.kill(signal);
    await checkRest(client, served);
    assert.equal(await statusOf(t, served.port, '/readyz'), 200, signal);
    assert.deepEqual(listenersOf(served), listening, `it listens on its own port alone after ${signal}`);
    assert.doesNotMatch(served.child.stderr(), /Debugger/, signal);
  }
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, cleanExit);
});

/** The local addresses of the listening TCP sockets that are this process's. */
function listenersOf({ child }: Served): string[] {
  const { pid } = child.process;
  const rows = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n'));
  const inodes = socketsOf(Number(pid));
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode = '']) => state === '0A' && inodes.has(inode))
    .map(([, address = '']) => address);
}

function socketsOf(pid: number): ReadonlySet<string> {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  return new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? ''));
}

// Connections come and go meanwhile.
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

test('SIGHUP has the token files read again, and serves on', async (t) => {
  const tokens = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(tokens, 'first\n');
  const served = await serve(t, ['--read-token-file', tokens]);
  const client = await RawClient.connect(t, served.port);
  client.get('/regions/file.bin', undefined, 'Authorization: Bearer first\r\nConnection: close\r\n');
  await client.head();
  await client.take(mebibyte);
  const readings = () => served.child.stdout().split('tokens were read again').length - 1;
  for (let sent = 1; sent <= 2; sent++) {
    served.child.process.kill('SIGHUP');
    await until(() => readings() === sent, 'the file is read, though nothing has changed');
  }
  await checkRest(client, served);
  assert.equal(await statusOf(t, served.port, '/regions/file.bin', 'Authorization: Bearer first\r\n'), 200);
  assert.equal(await statusOf(t, served.port, '/regions/file.bin', 'Authorization: Bearer other\r\n'), 401);
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, cleanExit);
});

test('a second signal, whichever, ends it at once', async (t) => {
  for (const [first, second] of [
    ['SIGTERM', 'SIGINT'],
    ['SIGQUIT', 'SIGTERM'],
  ] as const) {
    const served = await serve(t, ['--drain', '600']);
    const client = await inMidBody(t, served);
    served.child.process.kill(first);
    await until(() => served.child.stdout().includes('draining'), 'it drains');
    served.child.process.kill(second);
    assert.deepEqual(await served.child.exited, { code: 1, signal: null });
    client.destroy();
  }
});

test('npm start hands SIGTERM on: what is in flight completes, and no process is left', async (t) => {
  const served = await serve(t, [], (scope, args) =>
    start(scope, 'npm', ['start', '--prefix', root, '--', ...args.slice(1)]),
  );
  const client = await inMidBody(t, served);
  served.child.process.kill('SIGTERM');
  await until(() => served.child.stdout().includes('draining'), 'it drains');
  await checkRest(client, served);
  await served.child.exited; // Its output is closed, by every process that had it.
  await assert.rejects(RawClient.connect(t, served.port), { code: 'ECONNREFUSED' });
});
