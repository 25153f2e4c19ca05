/** Imports go in the one direction that docs/architecture.md draws. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** The rows of the table of folders, in their order: each with what it may import. */
const drawn = Object.fromEntries(
  [...read('docs/architecture.md').matchAll(/^\| `(src\/[^`]*)` \|.*\|(.*)\|$/gm)].map(
    ([, folder = '', others = '']) => [folder, [...others.matchAll(/`([^`]+)`/g)].map(([, other = '']) => other)],
  ),
);
const order = Object.keys(drawn);

/** The row that a file belongs to: that of its folder, or of its own. */
function rowOf(file: string): string | undefined {
  return order.filter((row) => file.startsWith(row)).sort((one, other) => other.length - one.length)[0];
}

const imports = globSync('src/**/*.ts', { cwd: root }).flatMap((file) =>
  [...read(file).matchAll(/(?:from|^import|import\(|new URL\()\s*'([^']+)'/gm)].map(([, what = '']) => {
    const target = what.startsWith('.') ? join(dirname(file), what) : what;
    return { file, target, from: rowOf(file), to: rowOf(target) };
  }),
);

test('each folder of src imports what the table of folders says, and nothing else', () => {
  const found: Record<string, string[]> = Object.fromEntries(order.map((row) => [row, []]));
  for (const { from, to } of imports) {
    if (from && to && from !== to && !found[from]?.includes(to)) found[from]?.push(to);
  }
  const sorted = (rows: Record<string, string[]>) => Object.entries(rows).map(([row, others]) => [row, others.sort()]);
  assert.deepEqual(sorted(found), sorted(drawn));
});

test('a folder of src imports only what stands below it in that table', () => {
  assert.ok(order.length > 5, 'the table was found');
  const upwards = imports.filter(({ from = '', to }) => to && order.indexOf(to) < order.indexOf(from));
  assert.deepEqual(upwards, []);
});

test('src/relay does not know HTTP', () => {
  const ofHttp = imports.filter(({ from, target }) => from === 'src/relay/' && /^(?:node:http|fastify)/.test(target));
  assert.deepEqual(ofHttp, []);
});

test('src/relay/shim.ts alone loads the native module', () => {
  const loaders = globSync('src/**/*.ts', { cwd: root }).filter((file) => read(file).includes('pagerelay.node'));
  assert.deepEqual(loaders, ['src/relay/shim.ts']);
});

// All that Node keeps to itself of the objects of one exchange, and of what they inherit.
async function underscoreNames(t: TestContext): Promise<string[]> {
  const names = new Set<string>();
  const gather = (object: unknown): void => {
    if (typeof object !== 'object' || object === null) return;
    for (const name of Object.getOwnPropertyNames(object)) if (/^_[a-z]/i.test(name)) names.add(name);
    gather(Object.getPrototypeOf(object));
  };
  const server = createServer((request, response) => {
    response.writeHead(200);
    for (const object of [server, request, response, request.socket]) {
      gather(object);
      gather(Reflect.get(object, '_handle'));
    }
    response.end();
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers: { connection: 'close' } });
  return [...names];
}

test('nothing but src/node names what Node keeps to itself', async (t) => {
  const names = await underscoreNames(t);
  for (const name of ['_handle', '_httpMessage', '_headerSent', '_connections']) assert.ok(names.includes(name), name);
  // What a stream of one's own has to have is documented.
  const named = new RegExp(`(?<!override |override async )\\b(?:${names.join('|')})\\b`, 'g');
  const found = globSync('src/**/*.ts', { cwd: root })
    .filter((file) => !file.startsWith('src/node/'))
    .flatMap((file) => [...read(file).matchAll(named)].map(([name]) => `${file}: ${name}`));
  assert.deepEqual(found, []);
});

test('what Node keeps to itself is named in one file of src/node', async (t) => {
  const named = new RegExp(`(?<!override )\\b(?:${(await underscoreNames(t)).join('|')})\\b`);
  const files = globSync('src/node/*.ts', { cwd: root }).filter((file) => named.test(read(file)));
  assert.deepEqual(files, ['src/node/internals.ts']);
});
