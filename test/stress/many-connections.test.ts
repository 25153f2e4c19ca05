/** Thousands of connections at once, and more than there are descriptors for. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/relay/relay.ts';
import { amount, isLong } from '../support/amount.ts';
import { untilReturned, warmUp } from '../support/holds.ts';
import { patience } from '../support/limits.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const script = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));
const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const wanted = amount(1000, 5000);

/** How many descriptors this process may have. */
function descriptorLimit(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  return Number(userLimits?.open_files?.soft ?? 0);
}

function startClients(t: TestContext, port: number, file: RegionFile, count: number): Child {
  const args = [script('many-clients.ts'), String(port), `/regions/${file.name}`, file.path, String(count)];
  return start(t, process.execPath, args);
}

async function printed(child: Child, line: string): Promise<void> {
  const says = () => child.stdout().includes(`${line}\n`);
  await until(says, line, () => [child.stdout(), child.stderr()]);
}

async function serveMany(t: TestContext, engine: Engine): Promise<void> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 2 * mebibyte, 161);
  const running = await startService(t, { engine, lanes: 2, regions: [file] });
  const before = await warmUp(t, running, file.name);
  const groups = [0, 1].map(() => startClients(t, running.port, file, wanted / 2));
  for (const group of groups) await printed(group, 'connected');
  const accepted = () => running.service.relay.counters().connections;
  await until(() => accepted() === wanted, 'all are accepted');
  for (const group of groups) group.process.stdin.write('ask\n');
  for (const group of groups) await printed(group, `right ${wanted / 2}`);
  assert.equal(accepted(), wanted, 'all are still connected');
  const { allocatedBytes } = running.service.relay.counters();
  assert.ok(allocatedBytes < 64 * mebibyte, `${allocatedBytes} bytes for ${wanted} connections`);
  for (const group of groups) group.process.stdin.write('close\n');
  for (const group of groups) assert.deepEqual(await group.exited, { code: 0, signal: null });
  await untilReturned(running, before);
}

for (const engine of ['sendfile', 'stream'] as const) {
  test(`${wanted} connections at once each get their range, by ${engine}`, async (t) => {
    if (descriptorLimit() < 2.5 * wanted) {
      t.skip(`SKIP: ${descriptorLimit()} descriptors are too few; ulimit -n ${3 * wanted}`);
      return;
    }
    await serveMany(t, engine);
  });
}

/**
 * A new connection that has got its range. Node closes what is idle when it has its turn; where that takes it longer than a
 * newcomer is kept waiting, for others have the processor, the newcomer is told to come again.
 */
async function getOnce(t: TestContext, port: number, file: RegionFile): Promise<RawClient> {
  for (const deadline = performance.now() + patience; ; ) {
    const client = await RawClient.connect(t, port);
    client.get(`/regions/${file.name}`, '3-1002');
    const { status, fields, body } = await client.response();
    if (status === 206) {
      assert.ok(body.equals(bytesOf(file.path, 3, 1002)));
      return client;
    }
    client.destroy();
    assert.deepEqual([status, fields.get('retry-after')], [503, '1']);
    assert.ok(performance.now() < deadline, 'there is room for who comes again');
  }
}

for (const engine of isLong ? (['auto', 'splice', 'stream'] as const) : (['auto', 'stream'] as const)) {
  test(`short of descriptors it closes who is idle, and serves who comes, by ${engine}`, async (t) => {
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', mebibyte, 162);
    const limited = ['--nofile=64', process.execPath, cli, 'serve', '--port', '0', '--lanes', '1'];
    const args = ['--engine', engine, '--region', `${file.name}=${file.path}`, '--drain', '0', '--log-level', 'error'];
    const child = start(t, 'prlimit', [...limited, ...args]);
    const port = Number(new URL(await originOf(child)).port);
    for (let round = 0; round < 2; round++) {
      const clients: RawClient[] = [];
      for (let at = 0; at < 80; at++) clients.push(await getOnce(t, port, file));
      assert.equal(child.process.exitCode, null, child.stderr());
      for (const client of clients) client.destroy();
    }
    child.process.kill('SIGTERM');
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  });
}
