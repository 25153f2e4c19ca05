/** wget: goes on after it was killed, and knows when it has everything. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { assertWhole, clientTest, killInTransfer, program, runTool, startTool } from '../support/client-tools.ts';

const wget = program('wget', 'wget');

clientTest('wget -c goes on where a killed wget has stopped, and then has nothing to do', [wget], async (t, served) => {
  const path = join(served.output, served.file.name);
  const args = ['--no-config', '--tries=1', '--timeout=10', '-nv', '-S', '-P', served.output, served.url];
  const killed = startTool(t, wget, ['--limit-rate=8m', ...args]);
  const left = await killInTransfer(served, killed, path);

  const resumed = await runTool(t, wget, ['-c', ...args]);
  assert.match(resumed.stderr(), /HTTP\/1\.1 206 /);
  const { size } = served.file;
  assert.ok(resumed.stderr().includes(`content-range: bytes ${left}-${size - 1}/${size}`), resumed.stderr());
  assertWhole(served, path);

  const again = await runTool(t, wget, ['-c', ...args]);
  assert.match(again.stderr(), /HTTP\/1\.1 416 /);
  assertWhole(served, path);
});
