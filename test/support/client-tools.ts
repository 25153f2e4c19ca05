/**
 * Real clients: whether they are on this machine, what they are given to fetch, and that nothing is held after them.
 *
 * @module
 */
import assert from 'node:assert/strict';
import { accessSync, constants, globSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { referencesOf } from './holds.ts';
import { until } from './poll.ts';
import { type Child, start } from './process.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from './regions.ts';
import type { Scope } from './scope.ts';
import { type Running, startService } from './service.ts';

const mebibyte = 1 << 20;
const toolMilliseconds = 15_000;
// The distribution's own first: what stands earlier in PATH may be a wrapper.
const folders = ['/usr/bin', '/usr/sbin', ...(process.env.PATH ?? '').split(delimiter)];
const direct = { no_proxy: '127.0.0.1', NO_PROXY: '127.0.0.1' };

/** What a test needs of the machine, and the Debian package that has it. */
export type Tool = { readonly path: string | undefined; readonly apt: string };

/** A service, the region that clients fetch, and a folder on tmpfs for what they write. */
export type Served = Running & {
  readonly file: RegionFile;
  readonly url: string;
  /** SHA-256 of the whole region. */
  readonly sha256: string;
  readonly output: string;
};

/** What to serve. */
export type Content = {
  /** Writes the region into the folder that is served; by default a bit more than 64 MiB of seeded bytes. */
  readonly write?: (folder: string, scope: Scope) => RegionFile | Promise<RegionFile>;
  readonly allowHosts?: readonly string[];
};

/** A program, wherever it is. */
export function program(name: string, apt: string): Tool {
  return { path: folders.map((folder) => join(folder, name)).find(isExecutable), apt };
}

/** A file that matches a pattern. */
export function installedFile(pattern: string, apt: string): Tool {
  return { path: globSync(pattern)[0], apt };
}

/**
 * A test that serves a region to real clients and ends with nothing held. Skipped where a tool is missing; in CI that
 * is a failure.
 */
export function clientTest(
  name: string,
  needs: readonly Tool[],
  run: (t: TestContext, served: Served) => Promise<void>,
  content: Content = {},
): void {
  test(name, async (t) => {
    if (!areThere(t, needs)) return;
    const served = await serve(t, content);
    await run(t, served);
    await untilNothingHeld(served);
    const sent = Object.values(served.service.relay.counters().sentBytes);
    assert.ok(
      sent.some((bytes) => bytes > 0),
      'the service has sent something',
    );
  });
}

/** Runs a tool to its end, which must come in time. It must succeed. */
export async function runTool(scope: Scope, tool: Tool, args: readonly string[]): Promise<Child> {
  const child = startTool(scope, tool, args);
  const impatience = setTimeout(() => child.process.kill('SIGKILL'), toolMilliseconds);
  const exit = await child.exited;
  clearTimeout(impatience);
  assert.deepEqual(
    exit,
    { code: 0, signal: null },
    `${tool.path} ${args.join(' ')}\n${child.stdout()}${child.stderr()}`,
  );
  return child;
}

/** Starts a tool, which no proxy of the environment comes between. */
export function startTool(scope: Scope, tool: Tool, args: readonly string[]): Child {
  return start(scope, tool.path ?? '', args, direct);
}

/** Kills a client that writes to `path` in the middle of its transfer. Returns how many bytes it has left behind. */
export async function killInTransfer(served: Served, child: Child, path: string): Promise<number> {
  await until(() => sizeOf(path) > mebibyte, 'the client has some of it', child.stderr);
  assert.notDeepEqual(await referencesOf(served), [], 'pages on their way are held');
  child.process.kill('SIGKILL');
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL' });
  await untilNothingHeld(served);
  const left = sizeOf(path);
  assert.ok(left < served.file.size, `${left} bytes are not all`);
  return left;
}

/** Waits until no reference is listed and none is counted. */
export async function untilNothingHeld(served: Pick<Served, 'service'>): Promise<void> {
  const isEmpty = async () => (await referencesOf(served)).length === 0;
  await until(isEmpty, 'GET /references is empty', () => served.service.relay.counters());
  const { references, heldBytes, quarantined, quarantinedBytes } = served.service.relay.counters();
  assert.deepEqual([references, heldBytes, quarantined, quarantinedBytes], [0, 0, 0, 0]);
}

/** A file has exactly the bytes of the region. */
export function assertWhole(served: Served, path: string): void {
  assert.equal(sizeOf(path), served.file.size);
  assert.equal(sha256OfFile(path, 0, served.file.size - 1), served.sha256);
}

/** Whether all tools are on this machine. Where one is not, the test is skipped; in CI that is a failure. */
export function areThere(t: TestContext, needs: readonly Tool[]): boolean {
  const missing = needs.filter(({ path }) => path === undefined).map(({ apt }) => apt);
  if (missing.length === 0) return true;
  const remedy = `not on this machine: apt-get install --no-install-recommends ${[...new Set(missing)].join(' ')}`;
  if (process.env.CI) assert.fail(remedy);
  t.skip(remedy);
  return false;
}

async function serve(t: TestContext, { write = writeSeeded, allowHosts = [] }: Content): Promise<Served> {
  const dir = makeFolder(t, 'tmpfs');
  const file = await write(dir, t);
  const running = await startService(t, { dir, allowHosts });
  return {
    ...running,
    file,
    url: `${running.origin}/regions/${file.name}`,
    sha256: sha256OfFile(file.path, 0, file.size - 1),
    output: makeFolder(t, 'tmpfs'),
  };
}

function writeSeeded(folder: string): RegionFile {
  return writeRegion(folder, 'region.bin', 64 * mebibyte + 4097, 64);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
