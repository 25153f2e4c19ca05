/** What a start loads, which is most of the time that it takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start } from '../support/process.ts';

const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

const program = `
  import { createRequire } from 'node:module';
  const { startService } = await import(${module('../support/service.ts')});
  const { close } = await startService({ after() {} });
  await close();
  const others = Object.keys(createRequire(import.meta.url).cache);
  console.log([...process.moduleLoadList, ...others].join('\\n'));
`;

test('a service that has started has loaded neither an HTTP client nor a compiler of schemas', async (t) => {
  const child = start(t, process.execPath, ['--input-type=module', '--eval', program]);
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  const loaded = child.stdout().split('\n');
  assert.ok(loaded.some((name) => name.endsWith('/fastify/fastify.js')));
  const unneeded = /undici|\/node_modules\/(?:ajv\/|@fastify\/ajv-compiler\/|fast-json-stringify\/index)/;
  assert.deepEqual(
    loaded.filter((name) => unneeded.test(name)),
    [],
  );
});
