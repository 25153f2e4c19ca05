/** Servers that the command line starts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runLoadtest } from './run-loadtest.ts';
import { unlikeSchema } from './schema.ts';

const pathOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const node = process.execPath;
const told = '{"folder":"{dir}","port":{port},"tokens":[]}';

for (const [where, command] of [
  ['below /regions/', `${node} ${pathOf('src/cli.ts')} serve --dir {dir} --port {port} --log-level warn`],
  ['at the top', `${node} ${pathOf('loadtest/servers/programs/node-stream.ts')} '${told}'`],
] as const) {
  test(`a server that has its regions ${where} is measured beside the service`, async (scope) => {
    const what = ['--scenarios', 'random-4k', '--servers', 'none', '--rounds', '1', '--seconds', '0.2'];
    const { code, results, printed } = await runLoadtest(scope, ...what, '--server-command', `other=${command}`);
    assert.equal(code, 0, printed);
    const row = results?.rows.find(({ server }) => server === 'other');
    assert.ok(row && row.requests > 0 && row.ratios && row.checkedBytes > 0);
    assert.deepEqual(unlikeSchema(results), []);
  });
}
