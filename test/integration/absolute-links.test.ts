/** Absolute symbolic links of a tree: as good as relative ones where they lead to what is inside. */
import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';
import { makeTree, send, startWritable } from '../support/writable.ts';

type Link = (target: string, path: string) => void;

const absolute: Link = (target, path) => symlinkSync(target, path);
const related: Link = (target, path) => symlinkSync(relative(dirname(path), target), path);

function makeVersions(dir: string, link: Link): void {
  for (const version of ['v1', 'v2']) {
    mkdirSync(join(dir, version));
    writeFileSync(join(dir, version, 'model'), `of ${version}`);
  }
  link(join(dir, 'v1'), join(dir, 'cur'));
  link(join(dir, 'v1', 'model'), join(dir, 'model'));
}

const intoState = ['self/.pagerelay/kept', 'state/kept', 'file', 'self/state/kept', 'self/file'];

/** Links that lead to the folder for the service's own files, and a file in that. */
function linkToState(dir: string): void {
  writeFileSync(join(dir, 'plain'), 'plain');
  mkdirSync(join(dir, '.pagerelay'), { recursive: true });
  writeFileSync(join(dir, '.pagerelay', 'kept'), 'kept');
  symlinkSync('.', join(dir, 'self'));
  symlinkSync('.pagerelay', join(dir, 'state'));
  symlinkSync(join(dir, '.pagerelay', 'kept'), join(dir, 'file'));
}

async function get(t: TestContext, running: Running, name: string): Promise<readonly [number, string]> {
  const { status, body } = await send(t, running, { method: 'GET', path: `/regions/${name}` });
  return [status, status === 200 ? body.toString() : ''];
}

async function namesIn(t: TestContext, running: Running): Promise<string[]> {
  const { body } = await send(t, running, { method: 'GET', path: '/regions' });
  return (JSON.parse(body.toString()) as { regions: { name: string }[] }).regions.map(({ name }) => name);
}

async function startPortable(scope: Scope, dir: string): Promise<Running> {
  const before = process.env.PAGERELAY_PORTABLE;
  process.env.PAGERELAY_PORTABLE = '1';
  try {
    return await startService(scope, { dir });
  } finally {
    if (before === undefined) delete process.env.PAGERELAY_PORTABLE;
    else process.env.PAGERELAY_PORTABLE = before;
  }
}

const starts = {
  native: (scope: Scope, dir: string) => startService(scope, { dir }),
  portable: startPortable,
};

for (const [kind, start] of Object.entries(starts)) {
  test(`${kind}: an absolute link to what is inside the tree is served, listed and switched`, async (t) => {
    const { dir, scope } = makeTree(t, 'tmpfs');
    makeVersions(dir, absolute);
    const running = await start(scope, dir);
    assert.deepEqual(await get(t, running, 'cur/model'), [200, 'of v1']);
    assert.deepEqual(await get(t, running, 'model'), [200, 'of v1']);
    assert.deepEqual(await namesIn(t, running), ['model', 'v1/model', 'v2/model']);
    symlinkSync(join(dir, 'v2'), join(dir, 'next'));
    renameSync(join(dir, 'next'), join(dir, 'cur'));
    assert.deepEqual(await get(t, running, 'cur/model'), [200, 'of v2']);
  });

  test(`${kind}: an absolute link to what is beside the tree, or above it, is 404 and not listed`, async (t) => {
    const { dir: parent, scope } = makeTree(t, 'tmpfs');
    const dir = join(parent, 'tree');
    for (const folder of ['tree', 'tree2']) mkdirSync(join(parent, folder));
    for (const file of ['tree2/secret', 'secret', 'tree/plain']) writeFileSync(join(parent, file), file);
    symlinkSync(join(parent, 'tree2'), join(dir, 'beside'));
    symlinkSync(join(parent, 'secret'), join(dir, 'above'));
    symlinkSync(`${dir}/../secret`, join(dir, 'up'));
    symlinkSync(parent, join(dir, 'parent'));
    const running = await start(scope, dir);
    for (const name of ['beside/secret', 'above', 'up', 'parent/secret', 'parent/tree/../secret']) {
      assert.deepEqual(await get(t, running, name), [404, ''], name);
    }
    assert.deepEqual(await namesIn(t, running), ['plain']);
  });
}

for (const [kind, start] of Object.entries(starts)) {
  test(`${kind}: no link of the tree leads to what the service keeps for itself`, async (t) => {
    const { dir, scope } = makeTree(t, 'tmpfs');
    const running = await start(scope, dir);
    linkToState(dir);
    for (const name of intoState) assert.deepEqual(await get(t, running, name), [404, ''], name);
    assert.deepEqual(await get(t, running, 'self/plain'), [200, 'plain']);
  });
}

test('nothing is made, changed or removed where the service keeps what is its own, through any link', async (t) => {
  const running = await startWritable(t, 'tmpfs');
  linkToState(running.dir);
  const state = join(running.dir, '.pagerelay');
  const before = readdirSync(state);
  for (const path of ['self/.pagerelay/new', 'state/new', 'state/sub/new'].map((name) => `/regions/${name}`)) {
    const { status } = await send(t, running, { method: 'PUT', path, body: Buffer.from('new') });
    assert.equal(status, 409, path);
  }
  for (const name of ['self/.pagerelay/kept', 'state/kept']) {
    const { status } = await send(t, running, { method: 'DELETE', path: `/regions/${name}` });
    assert.equal(status, 404, name);
  }
  assert.deepEqual(readdirSync(state), before);
  assert.deepEqual(readdirSync(join(state, 'tmp')), []);
});

test('a link by the name that the tree is served by is one into the tree', async (t) => {
  const { dir: parent, scope } = makeTree(t, 'tmpfs');
  const alias = join(parent, 'alias');
  mkdirSync(join(parent, 'real'));
  symlinkSync('real', alias);
  writeFileSync(join(alias, 'file'), 'content');
  symlinkSync(join(alias, 'file'), join(alias, 'link'));
  const running = await startService(scope, { dir: alias });
  assert.deepEqual(await get(t, running, 'link'), [200, 'content']);
});

test('changes through an absolute link are what they are through a relative one', async (t) => {
  const seen: unknown[] = [];
  for (const link of [absolute, related]) {
    const { dir, scope } = makeTree(t, 'tmpfs');
    makeVersions(dir, link);
    const running = await startWritable(scope, 'tmpfs', { dir });
    const say = (method: string, name: string, body?: string, fields: Record<string, string> = {}) =>
      send(t, running, { method, path: `/regions/${name}`, fields, ...(body && { body: Buffer.from(body) }) });
    const part = { 'content-range': 'bytes 0-1/*' };
    const statuses = [
      (await say('PUT', 'cur/model', 'OF', part)).status,
      (await say('PUT', 'cur/new', 'made below a link')).status,
      (await say('DELETE', 'cur/new')).status,
      (await say('PUT', 'model', 'OF', part)).status,
      (await say('PUT', 'model', 'in the place of the link')).status,
    ];
    const isLink = lstatSync(join(dir, 'model')).isSymbolicLink();
    const link2 = lstatSync(join(dir, 'cur')).isSymbolicLink();
    const target = relative(dir, realpathSync(join(dir, 'cur')));
    seen.push([
      statuses,
      isLink,
      link2,
      target,
      readFileSync(join(dir, 'v1/model'), 'utf8'),
      await namesIn(t, running),
    ]);
    await running.close();
  }
  assert.deepEqual(seen[0], seen[1]);
  assert.deepEqual((seen[0] as unknown[])[0], [204, 201, 204, 404, 204]);
});
