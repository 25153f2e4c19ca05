/** Names that are none, and files that are no regions: never a server error, never a byte from outside. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, type Place } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const secret = 'what lies outside of the tree';
const inside = 'what lies inside of the tree';
const longest = Array.from({ length: 4 }, () => 'n'.repeat(255)).join('/'); // 1,023 bytes

type Tree = { readonly dir: string; readonly outside: string };

function makeTree(t: TestContext, place: Place): Tree {
  const parent = makeFolder(t, place);
  const dir = join(parent, 'tree');
  const outside = join(parent, 'outside');
  mkdirSync(join(dir, 'folder'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), secret);
  writeFileSync(join(parent, 'secret'), secret);
  writeFileSync(join(dir, 'plain'), inside);
  writeFileSync(join(dir, 'folder', 'plain'), inside);
  mkdirSync(join(dir, '.pagerelay', 'old'), { recursive: true });
  for (const own of ['.pagerelay/lock', '.pagerelay/old/x']) writeFileSync(join(dir, own), secret);
  symlinkSync(join(outside, 'secret'), join(dir, 'absolute-link'));
  symlinkSync('../outside/secret', join(dir, 'relative-link'));
  symlinkSync('../../outside/secret', join(dir, 'folder', 'deep-link'));
  symlinkSync(outside, join(dir, 'folder-link'));
  symlinkSync('../outside', join(dir, 'relative-folder-link'));
  symlinkSync('absolute-link', join(dir, 'link-to-link'));
  symlinkSync('/proc/self/root/etc/passwd', join(dir, 'magic-link'));
  symlinkSync('loop', join(dir, 'loop'));
  symlinkSync('nowhere', join(dir, 'dangling'));
  symlinkSync('plain', join(dir, 'inner-link'));
  symlinkSync('folder', join(dir, 'inner-folder-link'));
  symlinkSync('../plain', join(dir, 'folder', 'upward-link'));
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  return { dir, outside };
}

async function makeSocketFile(t: TestContext, path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
}

async function ask(t: TestContext, { port }: Running, target: string, method = 'GET'): Promise<RawResponse> {
  const client = await RawClient.connect(t, port);
  client.write(`${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  const answer = await client.response(method);
  client.destroy();
  return answer;
}

/** Targets that must be refused; the part after `/regions/` where no slash stands first. */
const targets: readonly string[] = [
  '../secret',
  '../outside/secret',
  '../../../../../../../etc/passwd',
  'folder/../../secret',
  'folder/../plain',
  './plain',
  'folder/./plain',
  '..',
  '.',
  '',
  '/regions',
  '/regions/../secret',
  '/regions//plain',
  '/regions///etc/passwd',
  '%2e%2e/secret',
  '%2e%2e%2fsecret',
  '..%2fsecret',
  '..%2Foutside%2Fsecret',
  'folder/%2e%2e/%2e%2e/secret',
  '%252e%252e%252fsecret',
  '%252e%252e/secret',
  'plain%2500',
  '..\\secret',
  '..%5csecret',
  'folder%5cplain',
  '%2fetc%2fpasswd',
  '%2Fplain',
  'plain%00',
  'plain%00.txt',
  '%00',
  '%00/../plain',
  'plain%0a',
  'plain%20',
  '%',
  '%2',
  '%zz',
  '%c0%ae%c0%ae/secret',
  '%c0%af',
  '%ff',
  '%e2%80%ae',
  'plain/',
  'plain//',
  'folder//plain',
  'plain;x',
  'plain:x',
  '~root',
  '.pagerelay',
  '.pagerelay/lock',
  '.pagerelay/old/x',
  '%2epagerelay/lock',
  '.pagerelay%2Flock',
  './.pagerelay/lock',
  'plain#fragment',
  'x'.repeat(300),
  `${'n/'.repeat(512)}n`,
  `${longest}/nn`,
  'n'.repeat(1025),
  `${'%6e'.repeat(1025)}`,
  'x'.repeat(9000),
  'plain/plain',
  'folder',
  'folder/',
  'missing',
  'missing/plain',
  'absolute-link',
  'relative-link',
  'folder/deep-link',
  'folder-link',
  'folder-link/secret',
  'relative-folder-link/secret',
  'link-to-link',
  'magic-link',
  'loop',
  'dangling',
  'fifo',
  'socket',
];

function targetOf(target: string): string {
  return target.startsWith('/') ? target : `/regions/${target}`;
}

function checkRefused(target: string, method: string, { status, fields, body }: RawResponse): void {
  const what = `${method} ${target.slice(0, 60)}`;
  if (target === '/regions' || target === '/regions/../secret') assert.ok(status < 500, what);
  else assert.ok(status >= 400 && status < 500, `${what}: ${status}`);
  assert.ok(!body.includes(secret) && !body.includes('root:'), what);
  if (status >= 400 && method === 'GET') assert.match(fields.get('content-type') ?? '', /problem\+json/, what);
}

async function refuseAll(t: TestContext, portable: boolean, place: Place): Promise<void> {
  const tree = makeTree(t, place);
  await makeSocketFile(t, join(tree.dir, 'socket'));
  const before = process.env.PAGERELAY_PORTABLE;
  if (portable) process.env.PAGERELAY_PORTABLE = '1';
  const running = await startService(t, { dir: tree.dir });
  if (before === undefined) delete process.env.PAGERELAY_PORTABLE;
  for (const target of targets) {
    for (const method of ['GET', 'HEAD']) {
      checkRefused(target, method, await ask(t, running, targetOf(target), method));
    }
  }
  for (const name of ['plain', 'folder/plain', 'folder%2Fplain', '%70lain', 'inner-link', 'inner-folder-link/plain']) {
    const { status, body } = await ask(t, running, `/regions/${name}`);
    assert.deepEqual([status, body.toString()], [200, inside], name);
  }
  const { body } = await ask(t, running, '/regions/folder/upward-link');
  assert.equal(body.toString(), inside, 'a link upwards that stays inside');
  await checkList(t, running);
}

async function checkList(t: TestContext, running: Running): Promise<void> {
  const { status, body } = await ask(t, running, '/regions');
  assert.equal(status, 200);
  const names = (JSON.parse(body.toString()) as { regions: { name: string }[] }).regions.map(({ name }) => name);
  assert.deepEqual(names, ['folder/plain', 'folder/upward-link', 'inner-link', 'plain']);
}

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`what is no region of a tree on ${place} is not found`, (t) => refuseAll(t, false, place));
}

test('the portable relay refuses the same', (t) => refuseAll(t, true, 'tmpfs'));

test('a request that is no HTTP is answered 400, and only once', async (t) => {
  const running = await startService(t, { dir: makeTree(t, 'tmpfs').dir });
  for (const target of ['/regions/plain\0', '/regions/pl ain', 'regions/plain', '*']) {
    const client = await RawClient.connect(t, running.port);
    client.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    const { status, body } = await client.response();
    assert.ok(status >= 400 && status < 500, `${JSON.stringify(target)}: ${status}`);
    assert.ok(!body.includes(inside));
    client.destroy();
  }
});

test('names of the longest kind work', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  mkdirSync(join(dir, longest, '..'), { recursive: true });
  writeFileSync(join(dir, longest), inside);
  const running = await startService(t, { dir });
  const plain = await ask(t, running, `/regions/${longest}`);
  assert.deepEqual([plain.status, plain.body.toString()], [200, inside]);
  const escaped = longest.replaceAll('n', '%6e').replaceAll('/', '%2F');
  assert.equal((await ask(t, running, `/regions/${escaped}`)).status, 200);
});

test('a tree may be named through a link', async (t) => {
  const { dir, outside } = makeTree(t, 'tmpfs');
  symlinkSync(dir, join(outside, 'tree-link'));
  const running = await startService(t, { dir: join(outside, 'tree-link') });
  assert.equal((await ask(t, running, '/regions/plain')).body.toString(), inside);
  assert.equal((await ask(t, running, `/regions/${basename('relative-link')}`)).status, 404);
});
