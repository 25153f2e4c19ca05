/** The threads that write logs, which outlive whoever has opened those. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { logged } from '../support/logging-worker.ts';
import { until } from '../support/poll.ts';
import { UnreadPipe } from '../support/unread-pipe.ts';

const script = fileURLToPath(new URL('../support/logging-worker.ts', import.meta.url));

test('a worker that ends while its log waits for a reader leaves the process whole, also as the last user of the shim', async (t) => {
  const pipe = new UnreadPipe(t);
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit', pipe.end] });
  t.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  const [printed] = await Promise.race([once(child.stdout ?? child, 'data'), exit]);
  assert.equal(String(printed), 'ended\n');
  await until(
    () => pipe.read().length === logged || child.exitCode !== null || child.signalCode !== null,
    'the log has been written',
  );
  assert.deepEqual(await exit, [0, null]);
  assert.equal(pipe.read().length, logged);
});
