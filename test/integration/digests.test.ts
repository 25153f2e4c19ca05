/** Digests of regions while clients come and go, and while the service ends. */
import assert from 'node:assert/strict';
import { truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../support/poll.ts';
import { originOf, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, overwrite, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const wanted = 'Want-Repr-Digest: sha-256=1\r\n';
const gibibyte = 2 ** 30;
const unbounded = Number.MAX_SAFE_INTEGER;

/** A tree with a hole of 100 GiB, and a region that is short. */
function makeTree(t: TestContext): string {
  const dir = makeFolder(t, 'tmpfs');
  writeFileSync(join(dir, 'huge'), '');
  truncateSync(join(dir, 'huge'), 100 * gibibyte);
  writeRegion(dir, 'short', 100_000, 1);
  return dir;
}

const digestsOf = ({ service }: Running) => service.app.pagerelay.digests;

async function askForHuge(t: TestContext, { port }: Pick<Running, 'port'>): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  client.get('/regions/huge', '0-0', wanted);
  return client;
}

async function digestOfShort(t: TestContext, { port }: Running): Promise<string> {
  const client = await RawClient.connect(t, port);
  let digest: string | undefined;
  await until(async () => {
    client.get('/regions/short', '0-0', wanted);
    digest = (await client.response()).fields.get('repr-digest');
    return digest !== undefined;
  }, 'there is a digest');
  client.destroy();
  return digest ?? '';
}

const ofShort = `sha-256=:${Buffer.from(sha256(seededBytes(100_000, 1)), 'hex').toString('base64')}:`;

test('one byte of a region above --max-digest-bytes is answered without a digest', async (t) => {
  const running = await startService(t, { dir: makeTree(t) });
  const client = await askForHuge(t, running);
  const { status, fields } = await client.response();
  client.destroy();
  assert.deepEqual([status, fields.get('repr-digest')], [206, undefined]);
  assert.deepEqual([digestsOf(running).running, digestsOf(running).outcomes.refused], [0, 1]);
});

test('a digest is computed for no longer than the connection that asked for it is open', async (t) => {
  const running = await startService(t, { dir: makeTree(t), maxDigestBytes: unbounded });
  const client = await askForHuge(t, running);
  const { status, fields } = await client.response();
  assert.deepEqual([status, fields.get('repr-digest')], [206, undefined], 'it was not waited for');
  assert.equal(digestsOf(running).running, 1, 'it goes on for the next time');
  client.destroy();
  await until(() => digestsOf(running).running === 0, 'it has ended');
  assert.equal(digestsOf(running).outcomes.cancelled, 1);
});

test('a client that is gone before it is answered ends it as well', async (t) => {
  const running = await startService(t, { dir: makeTree(t), maxDigestBytes: unbounded });
  const client = await askForHuge(t, running);
  await until(() => digestsOf(running).running === 1, 'it has begun');
  client.destroy();
  await until(() => digestsOf(running).running === 0, 'it has ended');
});

test('the digest of a short region does not wait behind those of huge ones', async (t) => {
  const running = await startService(t, { dir: makeTree(t), maxDigestBytes: unbounded });
  const client = await askForHuge(t, running);
  await until(() => digestsOf(running).running === 1, 'it has begun');
  assert.equal(await digestOfShort(t, running), ofShort);
  assert.equal(digestsOf(running).running, 1, 'and that one goes on');
  client.destroy();
});

test('SIGTERM ends what is being computed', async (t) => {
  const limit = ['--max-digest-bytes', '1TiB'];
  const child = startCli(t, ['serve', '--dir', makeTree(t), '--port', '0', '--log-level', 'warn', ...limit]);
  const port = Number(new URL(await originOf(child)).port);
  const client = await askForHuge(t, { port });
  assert.equal((await client.response()).status, 206);
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test('a digest that was known is not that of bytes that others have written since', async (t) => {
  const dir = makeTree(t);
  const running = await startService(t, { dir });
  utimesSync(join(dir, 'short'), 1, 1);
  assert.equal(await digestOfShort(t, running), ofShort);
  overwrite(join(dir, 'short'), 0, Buffer.from('other bytes'));
  utimesSync(join(dir, 'short'), 1, 1);
  assert.notEqual(await digestOfShort(t, running), ofShort);
});
