/** Whatever becomes of standard output and standard error, the service serves on, counts what it could not log, and ends. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isLong } from '../support/amount.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/poll.ts';
import { originOf, type Silent, startCli, startCliOn } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { mountTmpfs } from '../support/small-tmpfs.ts';
import { UnreadPipe } from '../support/unread-pipe.ts';
import { makeTree } from '../support/writable.ts';

const mebibyte = 1 << 20;
const cleanExit = { code: 0, signal: null };
const portable = { PAGERELAY_PORTABLE: '1' };
const killed = { code: null, signal: 'SIGKILL' };
const longQuery = 'x'.repeat(3000);

type Line = Readonly<Record<string, unknown>>;
type Served = { readonly child: Silent; readonly port: number; readonly sha256: string };
type Started = { readonly env?: Record<string, string>; readonly args?: readonly string[]; readonly close?: string };

async function serveOn(
  t: TestContext,
  outputs: readonly [number | 'ignore', number | 'ignore'],
  { env = {}, args = [], close = '' }: Started = {},
): Promise<Served> {
  const { path, size } = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 20 * mebibyte, 7);
  const port = await freePort();
  const all = ['serve', '--port', String(port), '--region', `file.bin=${path}`, ...args];
  const child = startCliOn(t, outputs, all, env, close);
  await until(() => answers(t, port), 'it serves');
  return { child, port, sha256: sha256OfFile(path, 0, size - 1) };
}

async function answers(t: TestContext, port: number): Promise<boolean> {
  try {
    return (await get(t, port, '/healthz')).status === 200;
  } catch {
    return false;
  }
}

async function get(t: TestContext, port: number, path: string, range?: string) {
  const client = await RawClient.connect(t, port);
  client.get(path, range, 'Connection: close\r\n');
  return client.response().finally(() => client.destroy());
}

/** So many requests, each of which is more than 3,000 bytes in the log. */
async function askOften(t: TestContext, { port }: Served, count: number): Promise<void> {
  const client = await RawClient.connect(t, port);
  for (let asked = 0; asked < count; asked++) {
    client.get(`/regions/file.bin?${asked}-${longQuery}`, '0-9');
    assert.equal((await client.response()).status, 206);
  }
  client.destroy();
}

async function checkServing(t: TestContext, served: Served): Promise<void> {
  const whole = await get(t, served.port, '/regions/file.bin');
  assert.equal(sha256(whole.body), served.sha256);
}

async function droppedLines(t: TestContext, { port }: Served): Promise<number> {
  const { body } = await get(t, port, '/metrics');
  return Number(/^pagerelay_access_log_dropped_lines_total (\d+)$/m.exec(body.toString())?.[1]);
}

async function endsBy(served: Served, exit: object = cleanExit): Promise<void> {
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, exit);
}

function wayOf(env: object): string {
  return env === portable ? 'without the shim' : 'with the shim';
}

function openFull(t: TestContext): number {
  const fd = openSync('/dev/full', 'w');
  t.after(() => closeSync(fd));
  return fd;
}

function linesOf(text: string): Line[] {
  const lines = text.split('\n').filter(Boolean);
  return lines.flatMap((line) => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as Line] : []));
}

for (const env of [{}, portable]) {
  test(`a full device as log and standard error stops neither serving nor ending, ${wayOf(env)}`, async (t) => {
    const full = openFull(t);
    const outputs = [[full, 'ignore'] as const, ['ignore', full] as const, [full, full] as const];
    for (const each of isLong ? outputs : outputs.slice(-1)) {
      const served = await serveOn(t, each, { env });
      await askOften(t, served, 10);
      await checkServing(t, served);
      if (each[0] === full) assert.ok((await droppedLines(t, served)) >= 11, 'every line is lost, and counted');
      await endsBy(served);
    }
  });

  test(`a pipe that nobody reads does not keep it from ending, ${wayOf(env)}`, async (t) => {
    const pipe = new UnreadPipe(t);
    const served = await serveOn(t, [pipe.end, pipe.end], { env });
    await askOften(t, served, 100);
    await endsBy(served, env === portable ? killed : cleanExit);
  });
}

test('standard output or standard error that is closed stops neither', async (t) => {
  for (const close of isLong ? ['>&-', '2>&-', '>&- 2>&-'] : ['>&- 2>&-']) {
    const served = await serveOn(t, ['ignore', 'ignore'], { close });
    await checkServing(t, served);
    await endsBy(served);
  }
});

test('a reader that has gone stops neither', async (t) => {
  const pipe = new UnreadPipe(t);
  const served = await serveOn(t, [pipe.end, pipe.end]);
  await until(() => pipe.read().includes('\n'), 'a first line');
  pipe.close();
  await askOften(t, served, 10);
  await checkServing(t, served);
  assert.ok((await droppedLines(t, served)) >= 10);
  await endsBy(served);
});

test('of a pipe that nobody reads lines beyond a mebibyte are lost and counted', async (t) => {
  const pipe = new UnreadPipe(t);
  const served = await serveOn(t, [pipe.end, pipe.end], { args: ['--no-express'] });
  const count = 500;
  await askOften(t, served, count);
  await checkServing(t, served);
  const dropped = await droppedLines(t, served);
  const kept = (mebibyte + 65_536) / longQuery.length;
  assert.ok(dropped > count - kept && dropped < count, `${dropped} of ${count}: memory is bounded`);
  assert.equal(pipe.isNonBlocking(), false, 'the descriptor is shared with others');
  const isLogged = () => pipe.read().includes('lines of the log were lost');
  await until(isLogged, 'what is read makes room, and it says what was lost');
  await askOften(t, served, 1);
  await endsBy(served);
  const lines = linesOf(pipe.read());
  const told = lines.filter(({ msg }) => msg === 'lines of the log were lost');
  const lost = told.reduce((sum, { lines }) => sum + Number(lines), 0);
  const requests = lines.filter(({ msg, url }) => msg === 'request' && String(url).includes(longQuery));
  const others = lost - (count + 1 - requests.length);
  assert.ok(others >= 0 && others <= 5, `${lost} are told to be lost, ${requests.length} of ${count + 1} are there`);
});

test('the second signal ends it at once, though nobody reads its log', async (t) => {
  const pipe = new UnreadPipe(t);
  const served = await serveOn(t, [pipe.end, pipe.end], { args: ['--drain', '600'] });
  await askOften(t, served, 100);
  const reader = await RawClient.connect(t, served.port);
  reader.get('/regions/file.bin');
  await reader.take(100);
  served.child.process.kill('SIGTERM');
  await until(async () => !(await answers(t, served.port)), 'it accepts no connections any more');
  served.child.process.kill('SIGTERM');
  assert.deepEqual(await served.child.exited, { code: 1, signal: null });
  reader.destroy();
});

test('on a full file system it serves on, and logs again when there is room', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  if (!mountTmpfs(t, scope, dir, '64k')) return;
  writeFileSync(join(dir, 'filler'), Buffer.alloc(40_000));
  const path = join(dir, 'log');
  const log = openSync(path, 'a');
  t.after(() => closeSync(log));
  const served = await serveOn(t, [log, 'ignore'], { args: ['--no-express'] });
  await askOften(t, served, 300);
  await checkServing(t, served);
  const dropped = await droppedLines(t, served);
  assert.ok(dropped >= 290 && dropped < 303, `${dropped} lines are lost`);
  rmSync(join(dir, 'filler'));
  await askOften(t, served, 2);
  await endsBy(served);
  const lines = linesOf(readFileSync(path, 'utf8'));
  // When it says so is its own affair: it may have seen that there is room more than once.
  const isTold = ({ msg }: Line) => msg === 'lines of the log were lost';
  const told = lines.filter(isTold).reduce((sum, { lines }) => sum + Number(lines), 0);
  assert.ok(told >= dropped, `${told} are told to be lost`);
  const last = lines.filter(({ msg }) => msg === 'request').slice(-2);
  assert.ok(last.every(({ url }) => String(url).endsWith(longQuery)));
  assert.equal(lines.filter((line) => !isTold(line)).at(-1)?.msg, 'draining');
});

/** Runs code in the service when it gets SIGWINCH. */
function onSignal(code: string): Record<string, string> {
  const script = encodeURIComponent(`process.on('SIGWINCH', () => { ${code} })`);
  return { NODE_OPTIONS: `--import=data:text/javascript,${script}` };
}

test('a warning of Node goes to the log; a fault of the service is told and ends it, though nobody reads that', async (t) => {
  const warnFirst = "if (!globalThis.warned) { globalThis.warned = true; return process.emitWarning('look here') }";
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 10);
  const args = ['serve', '--port', '0', '--region', `file.bin=${path}`];
  const child = startCli(t, args, onSignal(`${warnFirst} throw new Error('broken')`));
  await originOf(child);
  child.process.kill('SIGWINCH');
  await until(() => linesOf(child.stdout()).some(({ msg }) => msg === 'look here'), 'it is logged');
  assert.doesNotMatch(child.stderr(), /look here/);
  child.process.kill('SIGWINCH');
  assert.deepEqual(await child.exited, { code: 1, signal: null });
  assert.match(child.stderr(), /pagerelay: Error: broken\n +at /);
  assert.equal(linesOf(child.stdout()).at(-1)?.level, 60);

  const pipe = new UnreadPipe(t);
  const served = await serveOn(t, [pipe.end, pipe.end], { env: onSignal("throw new Error('broken')") });
  await askOften(t, served, 100);
  served.child.process.kill('SIGWINCH');
  assert.deepEqual(await served.child.exited, { code: 1, signal: null });
});

test('what can not be printed is told by the exit code', async (t) => {
  const full = openFull(t);
  assert.deepEqual(await startCliOn(t, [full, 'ignore'], ['serve', '--help']).exited, { code: 1, signal: null });
  assert.deepEqual(await startCliOn(t, ['ignore', full], ['fly']).exited, { code: 2, signal: null });
  const pipe = new UnreadPipe(t);
  pipe.close();
  assert.deepEqual(await startCliOn(t, [pipe.end, 'ignore'], ['--version']).exited, { code: 1, signal: null });
});
