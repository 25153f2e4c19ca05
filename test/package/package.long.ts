/** The package as users get it: what is in the tarball, that it installs, and that it serves. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { buildCopy, dependencies, runIn } from '../support/package-copy.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, writeRegion } from '../support/regions.ts';
import { suiteScope } from '../support/suite-scope.ts';
import { testExamples } from './examples.ts';

type Packed = { readonly filename: string; readonly files: readonly { readonly path: string }[] };

const scope = suiteScope();
const leftOver = join('dist', 'left-over.js');
let copy = '';
let project = '';
let packed: Packed = { filename: '', files: [] };

before(async () => {
  copy = await buildCopy(scope, leftOver);
  project = join(makeFolder(scope, 'ext4'), 'project');
  mkdirSync(project);
  const output = await runIn(copy, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', project);
  [packed = packed] = JSON.parse(output) as Packed[];
  await install();
});

// The scripts of a dependency run only where the project allows them: npm asks for it since version 11.
async function install(): Promise<void> {
  const manifest = { name: 'project', private: true, type: 'module', allowScripts: { pagerelay: true } };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const flags = ['--no-audit', '--no-fund', '--prefer-offline'];
  // What is compiled here is run for a moment alone: to optimise it takes as long as all else.
  await runIn(project, 'env', 'CFLAGS=-O0', 'npm', 'install', ...flags, `./${packed.filename}`);
  // What TypeScript users have besides.
  mkdirSync(join(project, 'node_modules', '@types'), { recursive: true });
  symlinkSync(join(dependencies, '@types', 'node'), join(project, 'node_modules', '@types', 'node'));
}

const paths = () => packed.files.map(({ path }) => path);

test('the tarball holds what is needed and nothing else', () => {
  const allowed = [
    /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
    /^dist\/[\w/-]+\.(?:js|js\.map|d\.ts)$/,
    /^dist\/page\/assets\/[\w-]+\.(?:html|css|svg)$/,
    /^native-shim\/(?:build\.js|binding\.gyp)$/,
    /^native-shim\/(?:core(?:\/(?:base|pages|wire|lanes|http))?|binding)\/\w+\.[ch]$/,
  ];
  const others = paths().filter((path) => !allowed.some((pattern) => pattern.test(path)));
  assert.deepEqual(others, []);
  for (const path of ['dist/index.js', 'dist/index.d.ts', 'dist/cli.js', 'native-shim/build.js', 'LICENSE']) {
    assert.ok(paths().includes(path), path);
  }
});

test('the tarball holds a module for each source and none that is left over', () => {
  const modules = paths().filter((path) => path.endsWith('.js') && path.startsWith('dist/'));
  // The page's files are copied, not compiled.
  const sourceOf = (path: string) => path.replace(/^dist/, 'src').replace(/(?<!\/assets\/.*)js$/, 'ts');
  const orphans = modules.filter((path) => !existsSync(join(copy, sourceOf(path))));
  assert.deepEqual(orphans, []);
});

test('a build leaves out what an earlier one made of a source that is gone', () => {
  assert.equal(existsSync(join(copy, leftOver)), false);
});

test('nothing in the tarball looks like a secret or a path of this machine', () => {
  for (const path of paths()) {
    const text = readFileSync(join(project, 'node_modules', 'pagerelay', path), 'latin1');
    assert.doesNotMatch(
      text,
      /-----BEGIN [A-Z ]*PRIVATE KEY|\bnpm_[A-Za-z0-9]{36}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b/,
      path,
    );
    assert.ok(!text.includes(copy), path);
  }
});

test('publint finds nothing to mend', async () => {
  const tarball = new Uint8Array(readFileSync(join(project, packed.filename))).buffer;
  const { messages, pkg } = await publint({ strict: true, pack: { tarball } });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg ?? {})),
    [],
  );
});

test('installing compiles the shim', () => {
  const built = readdirSync(join(project, 'node_modules/pagerelay/native-shim/build/Release'));
  assert.deepEqual(
    built.filter((name) => name.endsWith('.node')),
    ['pagerelay.node'],
  );
});

test('what a start has compiled stays in the package for the next one, even if the service is killed', async (t) => {
  const installed = join(project, 'node_modules', 'pagerelay');
  const compiled = join(installed, 'node_modules', '.cache', 'pagerelay');
  // Not into the folder that the tests share.
  const own = ['-u', 'NODE_COMPILE_CACHE', process.execPath];
  const child = start(t, 'env', [...own, join(installed, 'dist', 'cli.js'), '--port', '0']);
  await originOf(child);
  const count = () => (existsSync(compiled) ? readdirSync(compiled, { recursive: true }).length : 0);
  await until(
    () => count() > 100,
    'what was compiled is written',
    () => child.stderr(),
  );
  child.process.kill('SIGKILL');
});

/** A program of a user: serves the folder in its first argument, and says by what engine after each request. */
const body = `
const app = fastify();
await app.register(pagerelay, { dir: process.argv[2] ?? '', lanes: 1, cacheControl: 'no-cache' });
app.get('/mine', (_request, reply) => reply.header('x-mine', 'yes').sendRegion('model.bin'));
app.setErrorHandler((error, _request, reply) => {
  const code: string = error instanceof ProblemError ? error.code : 'other';
  return reply.code(error instanceof ProblemError ? error.statusCode : 500).send({ code });
});
app.addHook('onResponse', async () => console.log('sent', app.pagerelay.relay.counters().sentBytes.sendfile));
console.log('listening', await app.listen({ host: '127.0.0.1', port: 0 }));
process.once('SIGTERM', () => void app.close());
`;

const imports = `
import process from 'node:process';
import fastify from 'fastify';
import { type PagerelayOptions, pagerelay, ProblemError, type ProblemCode, type RegionFields } from 'pagerelay';
`;

const typed = `${imports}
const fields: RegionFields = { contentDisposition: 'inline' };
const options: PagerelayOptions = { ...fields, engine: 'auto' };
const code: ProblemCode = 'busy';
console.log(typeof options, code);
// @ts-expect-error there is no such engine
const wrong: PagerelayOptions = { engine: 'none' };
console.log(typeof wrong);
${body.replace('(error, _request, reply)', '(error: Error, _request, reply)')}`;

const untyped = (imports + body)
  .replace('type PagerelayOptions, ', '')
  .replace(', type ProblemCode, type RegionFields', '')
  .replace('const code: string', 'const code');

async function checkProgram(t: TestContext, name: string, text: string): Promise<void> {
  const path = join(project, name);
  writeFileSync(path, text);
  const folder = makeFolder(t, 'tmpfs');
  const file = writeRegion(folder, 'model.bin', 100_000, 191);
  const child = start(t, process.execPath, [path, folder]);
  await checkServing(t, child, file);
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
}

async function checkServing(t: TestContext, child: Child, file: RegionFile): Promise<void> {
  const listening = /listening http:\/\/127\.0\.0\.1:(\d+)/;
  const said = () => child.stdout() + child.stderr();
  await until(() => listening.test(child.stdout()), 'it listens', said);
  const client = await RawClient.connect(t, Number(listening.exec(child.stdout())?.[1]));
  for (const path of ['/mine', '/regions/model.bin']) {
    client.get(path, '100-4099');
    const { status, fields, body } = await client.response();
    assert.deepEqual([status, fields.get('cache-control')], [206, 'no-cache']);
    assert.ok(body.equals(bytesOf(file.path, 100, 4099)));
  }
  client.get('/mine', '200000-');
  assert.equal((await client.response()).body.toString(), '{"code":"range-not-satisfiable"}');
  await until(() => child.stdout().includes('sent 8000'), 'it says that the bytes went natively', said);
  client.destroy();
}

test('a program in JavaScript serves ranges natively from the installed package', (t) =>
  checkProgram(t, 'program.js', untyped));

test('a program in TypeScript is type-checked against the installed package and serves', async (t) => {
  writeFileSync(join(project, 'program.ts'), typed);
  const flags = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2024'];
  await runIn(project, join(dependencies, '.bin', 'tsc'), ...flags, '--types', 'node', 'program.ts');
  await checkProgram(t, 'program.ts', typed);
});

test('the command line starts from the installed package', async (t) => {
  const command = join(project, 'node_modules', '.bin', 'pagerelay');
  const { version } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as { version: string };
  assert.equal((await runIn(project, command, '--version')).trim(), version);
  const child = start(t, process.execPath, [command, 'serve', '--port', '0', '--log-level', 'warn']);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  client.get('/regions/demo', '4096-4131');
  assert.equal((await client.response()).body.toString(), 'pagerelay demo: page 1, bytes 4096-8');
  for (const path of ['/', '/page/main.js', '/page/uplot.js', '/openapi.json']) {
    client.get(path);
    assert.equal((await client.response()).status, 200, path);
  }
  client.destroy();
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  assert.equal(child.stdout(), '', 'nothing to warn of: the shim serves');
});

testExamples(() => copy);
