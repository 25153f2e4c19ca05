/** Names with segments that begin with a dot, where they are denied, and where what is secret may be served. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fastify from 'fastify';
import { pagerelay } from '../../src/plugin.ts';
import { quick, startApp } from '../support/app.ts';
import { originOf, startCli } from '../support/process.ts';
import { makeFolder } from '../support/regions.ts';
import { lastFirst, makeTree, refusalIn, send, startWritable } from '../support/writable.ts';

const hidden = ['.env', '.git/config', 'temp.zarr/.zgroup', 'a/.b/c', '...'];

function writeTree(dir: string): void {
  for (const folder of ['.git', 'temp.zarr', 'a/.b']) mkdirSync(join(dir, folder), { recursive: true });
  for (const name of [...hidden, 'plain.txt', 'a/b.c']) writeFileSync(join(dir, name), name);
}

test('denied dotfiles are neither read, listed, written nor leased', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeTree(dir);
  const running = await startWritable(scope, 'tmpfs', { dir, dotfiles: 'deny' });
  const say = (method: string, path: string, body?: string, type = 'application/json') => {
    const fields = { 'content-type': type };
    return send(t, running, { method, path, ...(body !== undefined && { body: Buffer.from(body), fields }) });
  };
  for (const name of hidden) {
    const path = `/regions/${name}`;
    assert.deepEqual(refusalIn(await say('GET', path)), [404, 'region-not-found'], name);
    assert.deepEqual(refusalIn(await say('PUT', path, 'x')), [400, 'bad-name'], name);
    assert.deepEqual(refusalIn(await say('PATCH', path, '{"size":1}', 'application/merge-patch+json')), [
      400,
      'bad-name',
    ]);
    assert.deepEqual(refusalIn(await say('DELETE', path)), [400, 'bad-name'], name);
    const lease = JSON.stringify({ region: name, first: 0, last: 0, ttlSeconds: 1 });
    assert.deepEqual(refusalIn(await say('POST', '/leases', lease)), [400, 'bad-name'], name);
    assert.ok(existsSync(join(dir, name)), name);
  }
  assert.equal((await say('PUT', '/regions/new/.hidden', 'x')).status, 400);
  assert.equal(existsSync(join(dir, 'new')), false);
  const { regions } = JSON.parse((await say('GET', '/regions')).body.toString()) as { regions: { name: string }[] };
  assert.deepEqual(
    regions.map(({ name }) => name),
    ['a/b.c', 'plain.txt'],
  );
  assert.equal((await say('GET', '/regions/a/b.c')).body.toString(), 'a/b.c');
});

test('an application that denies dotfiles sends none', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeTree(dir);
  let name = '';
  const { app } = await startApp(scope, { dir, dotfiles: 'deny' }, (app) => {
    app.get('/mine', (_, reply) => reply.sendRegion(name));
  });
  for (name of hidden) assert.equal((await app.inject('/mine')).statusCode, 404, name);
  name = 'plain.txt';
  assert.equal((await app.inject('/mine')).statusCode, 200);
});

test('an application is told of a rule that is none, and of a region that the rule denies', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeTree(dir);
  const wrong = fastify().register(pagerelay, { ...quick, dir, dotfiles: 'ignore' as 'deny' });
  await assert.rejects(async () => wrong.ready(), { name: 'TypeError', message: /dotfiles: ignore/ });
  const regions = [{ name: 'my/.env', path: join(dir, '.env') }];
  const denied = fastify().register(pagerelay, { ...quick, regions, dotfiles: 'deny' });
  await assert.rejects(async () => denied.ready(), { name: 'BadName', code: 'ERR_BAD_NAME' });
});

/** What a start of the service warns of. */
async function warningsOf(t: TestContext, dir: string, ...flags: string[]): Promise<Record<string, unknown>[]> {
  const child = startCli(t, ['serve', '--dir', dir, '--port', '0', ...flags]);
  await originOf(child);
  child.process.kill('SIGTERM');
  await child.exited;
  const lines = child.stdout().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => /secret/.test(`${msg}`));
}

test('a start warns of what is often secret at the top of the tree, unless dotfiles are denied', async (t) => {
  const scope = lastFirst(t);
  const dir = makeFolder(scope, 'tmpfs');
  mkdirSync(join(dir, 'below', '.git'), { recursive: true });
  assert.deepEqual(await warningsOf(t, dir), [], 'there is nothing');
  mkdirSync(join(dir, '.git'));
  for (const name of ['.env', '.htpasswd', '.hidden']) writeFileSync(join(dir, name), 'secret');
  const [warning, ...others] = await warningsOf(t, dir);
  assert.deepEqual([warning?.level, warning?.files, others], [40, ['.git', '.env', '.htpasswd'], []]);
  assert.match(`${warning?.msg}`, /--dotfiles deny/);
  assert.deepEqual(await warningsOf(t, dir, '--dotfiles', 'deny'), []);
});
