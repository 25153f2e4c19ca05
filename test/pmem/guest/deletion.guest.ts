/**
 * A file on DAX is deleted while its pages are with a slow reader, and all space is given to other files. The reader
 * gets the bytes that it asked for.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../support/poll.ts';
import { type Child, startCli } from '../../support/process.ts';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, seededBytes, sha256 } from '../../support/regions.ts';
import { ask, type Change, change } from '../../support/requests.ts';
import { kept, lastFirst } from '../../support/writable.ts';
import { note } from './note.ts';

const timeout = 240_000;
const size = 64 << 10;
const victim = seededBytes(size, 1);
const other = seededBytes(1 << 20, 2);
/** What is left of the file system, so that it is soon full. */
const spaceLeft = 8 << 20;

/** A folder on a file system that has hardly any space left. */
function tightFolder(t: TestContext, place: 'ext4-dax' | 'xfs-dax'): string {
  const folder = makeFolder(t, place);
  const { bavail, bsize } = statfsSync(folder);
  const ballast = join(folder, '..', `ballast-of-${process.pid}`);
  t.after(() => rmSync(ballast, { force: true }));
  execFileSync('fallocate', ['-l', `${bavail * bsize - spaceLeft}`, ballast]);
  return folder;
}

type Served = { readonly dir: string; readonly port: number; readonly child: Child };

async function serve(t: TestContext, dir: string): Promise<Served> {
  const child = startCli(t, ['serve', '--dir', dir, '--writable', '--port', '0', '--lanes', '1']);
  const listening = () => /listens on (http:\S+)/.exec(child.stderr())?.[1];
  await until(() => listening() !== undefined, 'the service listens', child.stderr);
  return { dir, child, port: Number(new URL(listening() ?? '').port) };
}

async function asked(t: TestContext, { port }: Served, request: Change): Promise<number> {
  const client = await RawClient.connect(t, port);
  const { status } = await change(client, request);
  client.destroy();
  return status;
}

async function readerOfVictim(t: TestContext, served: Served): Promise<RawClient> {
  const body = victim;
  assert.equal(await asked(t, served, { method: 'PUT', path: '/regions/victim', body }), 201);
  const reader = await RawClient.connect(t, served.port);
  ask(reader, { method: 'GET', path: '/regions/victim' });
  const observer = await RawClient.connect(t, served.port);
  const isSent = async () => {
    const { body } = await change(observer, { method: 'GET', path: '/references' });
    const { references } = JSON.parse(body.toString('utf8')) as { references: { state: string }[] };
    return references.some(({ state }) => state === 'sent');
  };
  await until(isSent, 'all is sent');
  observer.destroy();
  return reader;
}

/** Makes regions until there is no space for one more; gives how many. */
async function fillUp(t: TestContext, served: Served, name: string): Promise<number> {
  for (let made = 0; ; made++) {
    const status = await asked(t, served, { method: 'PUT', path: `/regions/${name}/${made}`, body: other });
    if (status === 507) return made;
    assert.equal(status, 201);
    assert.ok(made * other.length < 2 * spaceLeft, 'the file system is small');
  }
}

async function readsItsOwn(reader: RawClient): Promise<void> {
  const { status, body } = await reader.response();
  assert.deepEqual([status, body.length, sha256(body)], [200, size, sha256(victim)]);
  reader.destroy();
}

for (const place of ['ext4-dax', 'xfs-dax'] as const) {
  test(`pagerelay delivers the right ones, on ${place}`, { timeout }, async (t) => {
    const scope = lastFirst(t);
    const served = await serve(scope as TestContext, tightFolder(scope as TestContext, place));
    const reader = await readerOfVictim(t, served);
    assert.equal(await asked(t, served, { method: 'DELETE', path: '/regions/victim' }), 204);
    const made = await fillUp(t, served, 'others');
    assert.ok(made > 0);
    assert.equal(await asked(t, served, { method: 'GET', path: '/readyz' }), 200);
    await readsItsOwn(reader);
    await until(() => kept(served, 'old').length === 0, 'its space is given back');
    note('pagerelay', { place, regionsMade: made, bytes: { own: size, others: 0 } });
  });
}

test('nor does a service that is killed give the pages of its readers away', { timeout }, async (t) => {
  const scope = lastFirst(t);
  const dir = tightFolder(scope as TestContext, 'ext4-dax');
  const first = await serve(scope as TestContext, dir);
  const reader = await readerOfVictim(t, first);
  assert.equal(await asked(t, first, { method: 'DELETE', path: '/regions/victim' }), 204);
  first.child.process.kill('SIGKILL');
  await first.child.exited;
  assert.equal(kept(first, 'old').length, 1);
  const second = await serve(scope as TestContext, dir);
  assert.ok((await fillUp(t, second, 'more')) > 0);
  await readsItsOwn(reader);
  await until(() => kept(second, 'old').length === 0, 'the next service removes what was kept');
});
