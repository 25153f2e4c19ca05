/** `pagerelay serve --check`: it says what would be served, or fails as a start would, and changes nothing. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { check } from '../../src/command/check.ts';
import { parseServeOptions, UsageError } from '../../src/command/options.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';

function checked(...argv: string[]): Promise<string> {
  const parsed = parseServeOptions(['--check', ...argv], {});
  return parsed.kind === 'check' ? check(parsed.options) : assert.fail(parsed.kind);
}

async function listening(t: TestContext, where: { path: string } | { host: string; port: number }) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(where, resolve));
  t.after(() => server.close());
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

test('it names what would be served and where, and leaves the tree and the places as they are', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'file', 10);
  writeRegion(dir, 'region', 10);
  const socket = join(makeFolder(t, 'tmpfs'), 'socket');
  const places = ['--listen', '127.0.0.1:0', '--listen', `unix:${socket}`, '--admin-listen', '[::1]:0'];
  const text = await checked('--dir', dir, '--writable', '--region', `one=${path}`, ...places);
  assert.deepEqual(text.trimEnd().split('\n'), [
    `would serve the tree ${dir}, writable`,
    `would serve one from ${path}`,
    'would listen at 127.0.0.1:0',
    `would listen at unix:${socket}`,
    'would listen at [::1]:0 (admin)',
  ]);
  assert.deepEqual([readdirSync(dir), readdirSync(join(socket, '..'))], [['region'], []]);
  assert.match(await checked('--port', '0'), /^would serve a demo region\nwould listen at 127\.0\.0\.1:0\n$/);
});

test('it fails by what a start would fail by', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const socket = join(folder, 'socket');
  const port = await listening(t, { host: '127.0.0.1', port: 0 });
  await listening(t, { path: socket });
  writeFileSync(join(folder, 'file'), '');
  const wrong: readonly (readonly [RegExp | typeof UsageError, ...string[]])[] = [
    [/ENOENT/, '--dir', '/nowhere/tree'],
    [/ENOENT/, '--region', 'a=/nowhere/file'],
    [/EADDRINUSE/, '--port', String(port)],
    [/another process listens there/, '--listen', `unix:${socket}`],
    [/no socket/, '--listen', `unix:${folder}/file`],
    [/ENOENT/, '--listen', 'unix:/nowhere/socket'],
    [/ENOENT/, '--port', '0', '--access-log', '/nowhere/log'],
    [/ENOENT/, '--port', '0', '--read-token-file', '/nowhere/tokens'],
    [UsageError, '--listen', 'fd:0'],
  ];
  for (const [error, ...argv] of wrong) await assert.rejects(checked(...argv), error, argv.join(' '));
});
