/** The page over HTTP: its files, its stream, who may see what. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fastify from 'fastify';
import { readAssets } from '../../src/page/assets.ts';
import { pagerelay } from '../../src/plugin.ts';
import { endless } from '../support/limits.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';
import { startWritable } from '../support/writable.ts';
import { firstWhere } from './live.ts';
import { lease } from './scene.ts';

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";

/** All addresses in the page and in its modules. */
async function filesOf(origin: string): Promise<string[]> {
  const html = await (await fetch(`${origin}/`)).text();
  const found = new Set([...html.matchAll(/(?:href|src)="(page\/[^"]+)"/g)].map(([, path = '']) => `/${path}`));
  for (const path of found) {
    if (!path.endsWith('.js')) continue;
    const script = await (await fetch(origin + path)).text();
    for (const [, name] of script.matchAll(/from '\.\/([\w-]+\.js)'/g)) found.add(`/page/${name}`);
  }
  return [...found];
}

test('every file that the page asks for is there, and allowed nothing from elsewhere', async (t) => {
  const { origin } = await startService(t);
  const files = await filesOf(origin);
  assert.ok(files.length >= 12, files.join());
  for (const path of ['/', ...files]) {
    const { status, headers } = await fetch(origin + path);
    assert.equal(status, 200, path);
    assert.equal(headers.get('content-security-policy'), policy, path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.match(headers.get('content-type') ?? '', /^(?:text\/(?:html|css|javascript)|image\/svg)/, path);
  }
  const html = await (await fetch(`${origin}/`)).text();
  assert.doesNotMatch(
    html,
    /https?:|\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)/,
    'nothing inline, nothing from elsewhere',
  );
});

test('the page answers conditional requests, HEAD and OPTIONS, and refuses the rest', async (t) => {
  const { origin, port } = await startService(t);
  for (const path of ['/', '/page/main.js', '/openapi.json']) {
    const whole = await fetch(origin + path);
    const etag = whole.headers.get('etag') ?? '';
    const length = (await whole.arrayBuffer()).byteLength;
    const head = await fetch(origin + path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(length)], path);
    const again = await fetch(origin + path, { headers: { 'if-none-match': `"other", W/${etag}` } });
    assert.deepEqual([again.status, again.headers.get('etag')], [304, etag], path);
    assert.equal((await fetch(origin + path, { headers: { 'if-match': '"other"' } })).status, 412, path);
    const post = await fetch(origin + path, { method: 'POST', body: 'x' });
    assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD, OPTIONS'], path);
    assert.equal((await fetch(origin + path, { method: 'OPTIONS' })).status, 204, path);
  }
  const client = await RawClient.connect(t, port);
  client.write('HEAD /page/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const live = await client.response('HEAD');
  assert.deepEqual([live.status, live.fields.get('content-type')], [200, 'text/event-stream']);
});

test('each file of the page and what feeds it refuse other methods, and what is no file is a 404 to any', async (t) => {
  const { service } = await startService(t, { dir: makeFolder(t, 'tmpfs') });
  const told = async (method: 'POST' | 'DELETE' | 'OPTIONS' | 'GET', url: string) => {
    const { statusCode, headers } = await service.app.inject({ method, url });
    return [statusCode, headers.allow];
  };
  for (const url of [...readAssets().map(({ path }) => `/${path}`), '/page/live', '/page/main.js?x']) {
    for (const method of ['POST', 'DELETE'] as const) {
      assert.deepEqual(await told(method, url), [405, 'GET, HEAD, OPTIONS'], `${method} ${url}`);
    }
    assert.deepEqual(await told('OPTIONS', url), [204, 'GET, HEAD, OPTIONS'], url);
  }
  for (const url of ['/page/none.js', '/page/', '/page/main.js/x', '/page/constructor']) {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'] as const) {
      assert.deepEqual(await told(method, url), [404, undefined], `${method} ${url}`);
    }
  }
});

test('no address leads from the page to other files', async (t) => {
  const { port } = await startService(t);
  const client = await RawClient.connect(t, port);
  const roads = [
    '../service.ts',
    '..%2fservice.ts',
    '%2e%2e/assets.ts',
    '..\\assets.ts',
    'main.js/../live.js',
    'assets',
  ];
  for (const road of [...roads, '', '.', 'main.js%00', '/etc/passwd', 'index.html']) {
    client.get(`/page/${road}`);
    assert.equal((await client.response()).status, 404, road);
  }
});

test('the stream needs the read token; the page that asks for it does not', async (t) => {
  const folder = makeFolder(t, 'ext4');
  const readTokenFile = join(folder, 'tokens');
  writeFileSync(readTokenFile, 'secret-1\n');
  const { origin } = await startService(t, { readTokenFile });
  assert.equal((await fetch(`${origin}/`)).status, 200);
  const refused = await fetch(`${origin}/page/live`);
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer realm="pagerelay"']);
  const live = await fetch(`${origin}/page/live`, { headers: { authorization: 'Bearer secret-1' } });
  assert.equal(live.status, 200);
  const ended = live.text();
  writeFileSync(readTokenFile, 'secret-2 \n'.trim());
  await ended; // Within about a second: who still watches has to show a token that is valid.
  assert.equal((await fetch(`${origin}/page/live`, { headers: { authorization: 'Bearer secret-1' } })).status, 401);
});

test('an event tells of holds and leases, and never the id of a lease', async (t) => {
  const running = await startWritable(t);
  writeRegion(running.dir, 'a.bin', 8 << 20);
  writeRegion(running.dir, 'b.bin', 1 << 20);
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/a.bin');
  await lease(running, 'b.bin', 4096, 8191, 'me');
  const { shown } = await firstWhere(
    t,
    running.origin,
    ({ holds, regions }) => holds.list.length > 0 && regions.list.length === 2,
  );
  const [a, b] = shown.regions.list;
  assert.deepEqual(
    [a?.name, a?.references, a?.leases, b?.name, b?.references, b?.leases],
    ['a.bin', 1, 0, 'b.bin', 0, 1],
  );
  assert.deepEqual(b?.runs, [1, 1, 4]);
  assert.equal(a?.runs.at(-1), 2, 'unsent');
  const [hold] = shown.holds.list;
  assert.deepEqual([hold?.region, hold?.peer, hold?.state], ['a.bin', `127.0.0.1:${client.localPort}`, 'unsent']);
  assert.deepEqual(Object.keys(shown.leases.list[0] ?? {}).sort(), ['expiresAt', 'first', 'last', 'owner', 'region']);
  assert.ok(shown.threads.length >= 2, JSON.stringify(shown.threads));
});

test('an event has a bound, however many regions and readers there are', async (t) => {
  const running = await startWritable(t);
  const names = Array.from({ length: 300 }, (_, at) => `${'long-name-'.repeat(20)}${at}`);
  for (const name of names) writeRegion(running.dir, name, 300_000);
  for (const name of names) {
    const client = await RawClient.connect(t, running.port);
    client.get(`/regions/${name}`, '0-0,50000-60000,100000-299999');
  }
  const { shown, length } = await firstWhere(
    t,
    running.origin,
    (each) => each.totals.references === 300 && each.regions.more > 0,
  );
  assert.deepEqual([shown.regions.list.length, shown.regions.more], [16, 284]);
  assert.deepEqual([shown.holds.list.length, shown.holds.more], [12, 288]);
  assert.ok(length < 64_000, `${length} bytes`);
});

test('a service with viewers closes without waiting for them', async (t) => {
  const { origin, close } = await startService(t, { drain: endless });
  const { body } = await fetch(`${origin}/page/live`);
  assert.equal(await close(), true, 'before the drain time is over');
  await body?.cancel().catch(() => {});
});

test('the plugin has the page where it is asked for, below its prefix', async (t) => {
  const without = fastify();
  const app = fastify();
  t.after(() => Promise.all([without.close(), app.close()]));
  await without.register(pagerelay, {});
  assert.equal((await without.inject('/')).statusCode, 404);
  await app.register(pagerelay, { page: true, prefix: '/files' });
  assert.match((await app.inject('/files/')).body, /<title>pagerelay/);
  assert.equal((await app.inject('/files/page/main.js')).statusCode, 200);
  assert.equal((await app.inject({ method: 'HEAD', url: '/files/page/live' })).statusCode, 200);
  assert.equal((await app.inject('/')).statusCode, 404);
});
