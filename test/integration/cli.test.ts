/** The command line, as a process. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { endless } from '../support/limits.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const cleanExit = { code: 0, signal: null };

type Served = { readonly child: Child; readonly origin: string; readonly port: number; readonly file: RegionFile };

async function serveFile(
  t: TestContext,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Served> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 24 * mebibyte, 111);
  const child = startCli(t, ['serve', '--port', '0', '--region', `file.bin=${file.path}`, ...args], env);
  const origin = await originOf(child);
  return { child, origin, port: Number(new URL(origin).port), file };
}

/** A client that keeps its connection to itself. */
async function get(t: TestContext, port: number, path: string) {
  const client = await RawClient.connect(t, port);
  client.get(path, undefined, 'Connection: close\r\n');
  const { status, body, fields } = await client.response();
  client.destroy();
  return { status, fields, text: body.toString(), sha256: sha256(body) };
}

async function inMidBody(t: TestContext, { port }: Served): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  client.get('/regions/file.bin');
  await client.head();
  await client.take(mebibyte);
  return client;
}

test('serve prints where it listens and what to try, and SIGTERM ends it at once when nothing is in flight', async (t) => {
  const served = await serveFile(t, ['--drain', `${endless}`]);
  assert.match(served.origin, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.match(served.child.stderr(), /curl -r 4096-8191 http:\S+\/regions\/file\.bin/);
  const whole = await get(t, served.port, '/regions/file.bin');
  assert.equal(whole.sha256, sha256OfFile(served.file.path, 0, served.file.size - 1));
  const idle = await RawClient.connect(t, served.port);
  idle.get('/regions/file.bin', '0-9');
  await idle.response();
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, cleanExit, 'it did not wait for the drain time');
});

test('without a file it serves a demo whose pages say what they are', async (t) => {
  const child = startCli(t, ['--port', '0']);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  client.get('/regions/demo', '8192-8255');
  assert.match((await client.response()).body.toString(), /^pagerelay demo: page 2, bytes 8192-12287 +\n$/);
  client.destroy();
  child.process.kill('SIGINT');
  assert.deepEqual(await child.exited, cleanExit);
});

test('a drain time that is over breaks the body off, and the exit is clean', async (t) => {
  const served = await serveFile(t, ['--drain', '0.3']);
  const client = await inMidBody(t, served);
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, cleanExit, served.child.stderr());
  assert.ok((await client.rest()).bytes < served.file.size - mebibyte, 'the body is short');
  client.destroy();
  assert.match(served.child.stdout(), /drain time is over/);
});

test('a wrong command line is answered by usage and exit code 2', async (t) => {
  for (const args of [['serve', '--nonsense'], ['fly']]) {
    const child = startCli(t, args);
    assert.equal((await child.exited).code, 2, args.join(' '));
    assert.match(child.stderr(), /Usage: pagerelay serve/);
    assert.equal(child.stdout(), '');
  }
});

test('--help and --version print and exit 0', async (t) => {
  const help = startCli(t, ['serve', '--help']);
  const version = startCli(t, ['--version']);
  assert.deepEqual([await help.exited, await version.exited], [cleanExit, cleanExit]);
  assert.match(help.stdout(), /^Usage: pagerelay serve/);
  assert.match(version.stdout(), /^\d+\.\d+\.\d+\n$/);
});

/** What a person reads: one line that names what is wrong, and no trace of where in the code it was noticed. */
async function failsToStart(
  t: TestContext,
  args: readonly string[],
  message: RegExp,
  env: Record<string, string> = {},
) {
  const child = startCli(t, ['serve', '--port', '0', ...args], env);
  assert.equal((await child.exited).code, 1, args.join(' '));
  assert.match(child.stderr(), message);
  assert.doesNotMatch(child.stderr(), /^ +at /m, 'a message, not a stack trace');
}

test('a region that is not there is a clear start error', async (t) => {
  const missing = /\/nowhere\/a\.bin.*ENOENT|ENOENT.*\/nowhere\/a\.bin/;
  await failsToStart(t, ['--region', 'a=/nowhere/a.bin'], missing, { PAGERELAY_PORTABLE: '1' });
  await failsToStart(t, ['--region', 'a=/tmp'], /\/tmp/);
  await failsToStart(t, ['--dir', '/nowhere/tree'], /\/nowhere\/tree.*ENOENT/);
});

test('a name of both --region and --dir is a start error', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(dir, 'twice', 10);
  await failsToStart(t, ['--dir', dir, '--region', `twice=${path}`], /twice/);
});

test('a port that is taken is a start error', async (t) => {
  const served = await serveFile(t);
  const child = startCli(t, ['serve', '--port', String(served.port)]);
  assert.equal((await child.exited).code, 1);
  assert.match(child.stderr(), /EADDRINUSE/);
});

test('PAGERELAY_PORTABLE=1 serves the same bytes and says so', async (t) => {
  const served = await serveFile(t, [], { PAGERELAY_PORTABLE: '1' });
  const isTold = () => /PAGERELAY_PORTABLE.*every byte is copied/.test(served.child.stdout());
  await until(isTold, 'it says so', served.child.stdout);
  const whole = await get(t, served.port, '/regions/file.bin');
  assert.equal(whole.sha256, sha256OfFile(served.file.path, 0, served.file.size - 1));
  const list = JSON.parse((await get(t, served.port, '/regions')).text) as { regions: Record<string, unknown>[] };
  assert.deepEqual([list.regions[0]?.engine, list.regions[0]?.copyFree], ['stream', false]);
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, cleanExit);
});

test('options come from flags, variables and a file, in this order', async (t) => {
  const config = join(makeFolder(t, 'tmpfs'), 'config.json');
  writeFileSync(config, JSON.stringify({ engine: 'copy', logLevel: 'warn', maxHold: 7 }));
  const served = await serveFile(t, ['--config', config, '--log-level', 'info'], { PAGERELAY_ENGINE: 'splice' });
  await get(t, served.port, '/regions/file.bin');
  const metrics = (await get(t, served.port, '/metrics')).text;
  assert.match(metrics, new RegExp(`^pagerelay_sent_bytes_total\\{engine="splice"\\} ${served.file.size}$`, 'm'));
  await until(() => served.child.stdout().includes('"msg":"request"'), 'the flag wins over the file');
});

test('/metrics is Prometheus text with the names that others rely on', async (t) => {
  const { port } = await startService(t, { regions: [writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 24 * mebibyte)] });
  await get(t, port, '/regions/file.bin');
  const { status, fields, text } = await get(t, port, '/metrics');
  assert.equal(status, 200);
  assert.match(fields.get('content-type') ?? '', /^text\/plain/);
  const sample = /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="[^"]*",?)*\})? (NaN|[+-]Inf|-?[\d.]+(e[+-]?\d+)?)( \d+)?$/;
  for (const line of text.split('\n')) assert.ok(line === '' || line.startsWith('# ') || sample.test(line), line);
  const promised = {
    pagerelay_sent_bytes_total: 'counter',
    pagerelay_transmissions_total: 'counter',
    pagerelay_references: 'gauge',
    pagerelay_held_bytes: 'gauge',
    pagerelay_quarantined_bytes: 'gauge',
    pagerelay_hold_seconds: 'histogram',
  };
  for (const [name, type] of Object.entries(promised)) assert.ok(text.includes(`# TYPE ${name} ${type}\n`), name);
  const engines = [...text.matchAll(/^pagerelay_sent_bytes_total\{engine="(\w+)"\}/gm)].map(([, engine]) => engine);
  assert.deepEqual(engines.sort(), ['copy', 'sendfile', 'splice', 'stream', 'zerocopy']);
  assert.match(text, /^pagerelay_transmissions_total\{engine="splice",outcome="complete"\} 1$/m);
  assert.match(text, /^pagerelay_hold_seconds_bucket\{le="\+Inf"\} 1$/m);
  assert.match(text, /^pagerelay_hold_seconds_count 1$/m);
});
