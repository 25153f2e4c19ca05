/**
 * What clients make of a download by the URL of one version while the region is replaced, or overwritten in place: they fail,
 * or have one version. With `--keep-versions` they have the one that was replaced.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inTurn, isLong } from '../support/amount.ts';
import { areThere, program, startTool } from '../support/client-tools.ts';
import { type GatedProxy, startGatedProxy } from '../support/gated-proxy.ts';
import { asTiff, type PinnedClient, pinnedClients } from '../support/pinned-clients.ts';
import { until } from '../support/poll.ts';
import { makeFolder, seededBytes, sha256 } from '../support/regions.ts';
import { overwriting } from '../support/requests.ts';
import { put, send, startWritable, type Writable } from '../support/writable.ts';

const name = 'region.bin';
const path = `/regions/${name}`;
const size = 8 << 20;
const [first, second] = [asTiff(seededBytes(size, 51)), asTiff(seededBytes(size, 52))];

/** Bytes that a client has been sent when its download is stopped. */
const stoppedAfter = 300_000;

/** Who asks so often after the change will not end. */
const mostAsked = 200;

/** Bytes from here on are overwritten. */
const overwrittenFrom = size / 2;
const overwritten = Buffer.concat([first.subarray(0, overwrittenFrom), second.subarray(overwrittenFrom)]);

/** Resolves when clients may go on; to what resolves when the change is over. */
type Act = (t: TestContext, running: Writable) => Promise<{ readonly ended: Promise<unknown> }>;
type Change = { readonly keepVersions: number; readonly act: Act };

const replace: Act = async (t, running) => {
  await put(t, running, name, second);
  return { ended: Promise.resolve() };
};

// It waits for readers, which do not go on before the gate opens: it is over then, or has its place in the queue.
const overwrite: Act = async (t, running) => {
  let isOver = false;
  const request = overwriting(path, overwrittenFrom, second.subarray(overwrittenFrom), 60);
  const ended = send(t, running, request).then(({ status }) => {
    isOver = true;
    assert.equal(status, 204);
  });
  const { relay } = running.service;
  await until(() => isOver || relay.counters().waitingWriters === 1, 'it is written, or comes next');
  return { ended };
};

const kept = 'is replaced, and kept,';
const changes: Readonly<Record<string, Change>> = {
  'is replaced': { keepVersions: 0, act: replace },
  [kept]: { keepVersions: 3600, act: replace },
  'is overwritten': { keepVersions: 3600, act: overwrite },
};

/** The exit code of the last command; null where it had to be killed, for it would have asked for ever. */
async function run(t: TestContext, client: PinnedClient, proxy: GatedProxy, query: string, folder: string) {
  const url = `${proxy.origin}${path}${query}`;
  let last: number | null = null;
  for (const [command = '', ...args] of client.commands(url, folder, join(folder, 'made'))) {
    const child = startTool(t, program(command, ''), args);
    let isOver = false;
    const exited = child.exited.finally(() => {
      isOver = true;
    });
    await until(() => isOver || (proxy.asked() ?? 0) > mostAsked, `${command} ends`, child.stderr);
    if (!isOver) child.process.kill('SIGKILL');
    ({ code: last } = await exited);
  }
  return last;
}

async function download(t: TestContext, client: PinnedClient, { keepVersions, act }: Change, isPinned = true) {
  const running = await startWritable(t, 'tmpfs', { keepVersions });
  const etag = await put(t, running, name, first);
  const changed = Promise.withResolvers<{ readonly ended: Promise<unknown> }>();
  const gate = {
    after: stoppedAfter,
    breaks: client.goesOnWhenBroken,
    act: async () => changed.resolve(await act(t, running)),
  };
  const proxy = await startGatedProxy(t, running.port, gate);
  const folder = makeFolder(t, 'tmpfs');
  writeFileSync(join(folder, 'copy'), first);
  const code = await run(t, client, proxy, isPinned ? `?version=${etag.slice(1, -1)}` : '', folder);
  await (await changed.promise).ended;
  const made = join(folder, 'made');
  return { code, made: existsSync(made) ? readFileSync(made) : Buffer.alloc(0), asked: proxy.asked() ?? 0 };
}

/** Which of two contents a file has pages of that the other does not have. */
function sourcesOf(made: Buffer, from: number): string[] {
  const found = new Set<string>();
  for (let at = 0; at < made.length; at += 4096) {
    const page = made.subarray(at, at + 4096);
    const isOf = (content: Buffer) => page.equals(content.subarray(from + at, from + at + page.length));
    const [ofFirst, ofSecond] = [isOf(first), isOf(second)];
    if (ofFirst !== ofSecond) found.add(ofFirst ? 'first' : 'second');
  }
  return [...found];
}

for (const [at, [what, change]] of Object.entries(changes).entries())
  for (const [client, how] of inTurn(Object.entries(pinnedClients), at * 4))
    test(`${client}: a download of a version that ${what} in the middle fails, or is of one version`, async (t) => {
      if (!areThere(t, how.needs)) return;
      if (client === 'httpdirfs' && !existsSync('/dev/fuse')) return t.skip('SKIP: there is no /dev/fuse');
      const { contentFrom = 0, hidesErrors } = how;
      const { code, made, asked } = await download(t, how, change);
      const isWhole = (content: Buffer) => made.equals(content.subarray(contentFrom));
      assert.ok(asked > 0, 'it has asked after the change as well');
      assert.ok(sourcesOf(made, contentFrom).length < 2, 'what it leaves is of one version');
      if (code === 0 && !hidesErrors) assert.ok([first, second, overwritten].some(isWhole), 'it is whole');
      if (what === kept)
        assert.ok(code === 0 && isWhole(first), `it goes on with what was replaced, and ends by ${code}`);
    });

test('by the URL of the region itself curl -C - does join two versions', async (t) => {
  const client = pinnedClients['curl -C -'] ?? assert.fail('curl');
  if (!areThere(t, client.needs)) return;
  const { code, made } = await download(t, client, { keepVersions: 0, act: replace }, false);
  assert.deepEqual([code, made.length, sourcesOf(made, 0)], [0, size, ['first', 'second']]);
});

/** Asks for ranges one after the other, as a page does: the status of each, and what came. */
async function joinInPage({ url, step, size, change }: { url: string; step: number; size: number; change: number }) {
  const got: [status: number, sha256: string][] = [];
  for (let at = 0; at < size; at += step) {
    if (at === change) await (globalThis as unknown as { changeRegion(): Promise<void> }).changeRegion();
    const response = await fetch(url, { headers: { range: `bytes=${at}-${at + step - 1}` } });
    const digest = await crypto.subtle.digest('SHA-256', await response.arrayBuffer());
    got.push([
      response.status,
      Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join(''),
    ]);
  }
  return got;
}

for (const [what, { keepVersions, act }] of isLong ? Object.entries(changes) : [])
  test(`Chromium: what a page joins of a version that ${what} in the middle is of one version, or ends`, async (t) => {
    // Playwright takes long to load.
    const { launch, openPage, skipWithoutChromium } = await import('../page/chromium.ts');
    if (skipWithoutChromium()) return t.skip('SKIP: there is no Chromium');
    const running = await startWritable(t, 'tmpfs', { keepVersions });
    const etag = await put(t, running, name, first);
    const { page } = await openPage(t, await launch(t), running.origin);
    let ended: Promise<unknown> | undefined;
    await page.exposeFunction('changeRegion', async () => {
      ({ ended } = await act(t, running));
    });
    const [step, change] = [size / 8, size / 4];
    const got = await page.evaluate(joinInPage, { url: `${path}?version=${etag.slice(1, -1)}`, step, size, change });
    await ended;
    for (const [at, [status, digest]] of got.entries()) {
      const isGone = what !== kept && at * step >= change;
      assert.equal(status, isGone ? 412 : 206, `range ${at}`);
      if (!isGone) assert.equal(digest, sha256(first.subarray(at * step, (at + 1) * step)));
    }
  });
