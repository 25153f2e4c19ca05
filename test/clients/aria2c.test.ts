/** aria2c: eight connections, each with ranges of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { assertWhole, clientTest, program, runTool } from '../support/client-tools.ts';

const aria2c = program('aria2c', 'aria2');

clientTest('aria2c puts the region together from ranges over eight connections', [aria2c], async (t, served) => {
  const connections = () => served.service.relay.counters().acceptedConnections;
  const before = connections();
  const parallel = ['-x8', '-s8', '-k1M', '--file-allocation=none'];
  const strict = ['--no-conf', '--max-tries=1', '--timeout=10', `--checksum=sha-256=${served.sha256}`];
  await runTool(t, aria2c, [...parallel, ...strict, '-d', served.output, '-o', 'download', served.url]);
  assert.ok(connections() - before >= 8, `${connections() - before} connections`);
  assertWhole(served, join(served.output, 'download'));
});
