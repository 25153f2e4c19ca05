/** The service under systemd: its units, their filter of system calls, sockets that are opened for it, and what it tells. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Proof } from '../../src/prove/result.ts';
import { allowedCalls, compileAllowing } from '../support/allowed-calls.ts';
import { until } from '../support/poll.ts';
import { cliCommand, start } from '../support/process.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { Restarts } from '../support/restarts.ts';

const units = fileURLToPath(new URL('../../deploy/systemd', import.meta.url));
const service = join(units, 'pagerelay.service');
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
const skip = hasAnalyze ? false : 'there is no systemd-analyze: apt-get install systemd';

/** The units as they are, but for programs that this machine has elsewhere. */
function installed(t: TestContext): string {
  const folder = makeFolder(t, 'ext4');
  const text = readFileSync(service, 'utf8').replace(
    /^ExecStart=\S+ (.*) \S+cli\.js/m,
    `ExecStart=${process.execPath} $1 x`,
  );
  writeFileSync(join(folder, 'pagerelay.service'), text);
  copyFileSync(join(units, 'pagerelay.socket'), join(folder, 'pagerelay.socket'));
  return folder;
}

test('systemd takes the units without a warning, and calls the exposure of the service low', { skip }, (t) => {
  const folder = installed(t);
  const files = ['service', 'socket'].map((kind) => join(folder, `pagerelay.${kind}`));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
  const asked = ['security', '--offline=true', '--threshold=20', files[0] ?? ''];
  const security = spawnSync('systemd-analyze', asked, { encoding: 'utf8' });
  assert.equal(security.status, 0, security.stdout);
});

test('prove finds under the filter of the unit what it finds without one', { skip }, async (t) => {
  const filter = compileAllowing(t, allowedCalls(service));
  const proven = async (program: string, args: readonly string[]) => {
    const child = start(t, program, [...args, ...cliCommand(['prove', '--json', '--seconds', '0.05'])]);
    await child.exited;
    const { results, refused } = JSON.parse(child.stdout()) as Proof;
    return {
      found: results.map(({ backing, engine, copyFree, done }) => ({ backing, engine, copyFree, done })),
      refused,
    };
  };
  const without = await proven('/usr/bin/env', []);
  assert.ok(without.found.length > 0);
  assert.deepEqual(await proven(filter, []), without);
});

test('a service under the filter of the unit serves, writes, and is restarted without a gap', { skip }, async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file.bin', 100_000, 5);
  const filter = compileAllowing(t, allowedCalls(service));
  const restarts = await Restarts.start(t, ['--dir', dir, '--writable'], {}, [filter]);
  const { origin } = restarts;
  const put = (body: string) => fetch(`${origin}/regions/new`, { method: 'PUT', body });
  assert.equal((await put('one')).status, 201);
  await restarts.restart();
  assert.equal((await put('two')).status, 204);
  assert.equal(await (await fetch(`${origin}/regions/new`)).text(), 'two');
  assert.equal((await (await fetch(`${origin}/regions/file.bin`)).bytes()).length, 100_000);
  assert.deepEqual(restarts.messages('system calls are refused'), []);
  assert.deepEqual(await restarts.end(), { code: 0, signal: null });
});

/** Receives what is told to a manager; Node has no such sockets. */
const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0', 1) if sys.argv[1][0] == '@' else sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', ' '), flush=True)
`;

/** What a manager does: opens two sockets, and runs a program that has them from descriptor 3 on. */
const activator = `
import os, socket, sys
opened = [socket.create_server(('127.0.0.1', 0)) for _ in range(2)]
print('ports', *(s.getsockname()[1] for s in opened), flush=True)
spare = [os.dup(s.fileno()) for s in opened]
for index, fd in enumerate(spare):
    os.dup2(fd, 20 + index)
for index in range(2):
    os.dup2(20 + index, 3 + index)
os.execve(sys.argv[1], sys.argv[1:], {**os.environ, 'LISTEN_PID': str(os.getpid())})
`;

for (const kind of ['a path', 'an abstract name'] as const) {
  test(`it listens at the sockets that are opened for it, and tells its manager, at ${kind}, what it does`, async (t) => {
    const at = kind === 'a path' ? join(makeFolder(t, 'tmpfs'), 'notify') : `@pagerelay-test-${process.pid}`;
    const manager = start(t, 'python3', ['-c', receiver, at]);
    const isTold = async (text: string | RegExp) => {
      const has = () => manager.stdout().match(text) !== null;
      await until(has, String(text), () => [manager.stdout(), manager.stderr(), child?.stdout(), child?.stderr()]);
    };
    let child: ReturnType<typeof start> | undefined;
    await isTold('bound');
    const told = { LISTEN_FDS: '2', LISTEN_FDNAMES: 'public:admin', NOTIFY_SOCKET: at, WATCHDOG_USEC: '200000' };
    child = start(t, 'python3', ['-c', activator, ...cliCommand(['serve', '--access-log', 'off'])], told);
    await isTold('READY=1');
    const [, open, watch] = /ports (\d+) (\d+)/.exec(child.stdout()) ?? [];
    const statuses = () =>
      Promise.all([open, watch].map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).status));
    assert.deepEqual(await statuses(), [404, 200], 'metrics are for who watches');
    await isTold('WATCHDOG=1');
    child.process.kill('SIGHUP');
    await isTold(/RELOADING=1 MONOTONIC_USEC=\d+\n(WATCHDOG=1\n)*READY=1/);
    child.process.kill('SIGUSR2');
    await isTold(/MAINPID=\d+ READY=1/);
    const successor = Number(/MAINPID=(\d+)/.exec(manager.stdout())?.[1]);
    t.after(() => endAnyway(successor));
    await once(child.process, 'exit');
    assert.deepEqual([child.process.exitCode, successor === child.process.pid], [0, false], child.stderr());
    assert.deepEqual(await statuses(), [404, 200], 'and so it is with the next process');
    process.kill(successor, 'SIGTERM');
    await isTold('STOPPING=1');
    await child.exited;
  });
}

function endAnyway(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
