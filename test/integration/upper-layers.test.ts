/** Peers whose socket a protocol above TCP has: the kernel says that nothing is unread while nothing was read. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { copyFreeEngines, everyEngine } from '../support/engines.ts';
import { outcomesOf } from '../support/holds.ts';
import { mptcpReader, whyNoMptcp } from '../support/mptcp.ts';
import { until } from '../support/poll.ts';
import { overwrite, type Place, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { overwriting } from '../support/requests.ts';
import { fileIn, send, startWritable } from '../support/writable.ts';

const length = 65_536;
const path = '/regions/file.bin';
const old = seededBytes(length, 1);
const changed = seededBytes(length, 2);
const places: readonly Place[] = ['ext4', 'tmpfs'];
const missing = whyNoMptcp();
const skip = missing === undefined ? {} : { skip: missing };

async function unreadByMptcp(t: TestContext, place: Place, options: Parameters<typeof startWritable>[2] = {}) {
  const running = await startWritable(t, place, options);
  writeRegion(running.dir, 'file.bin', length, 1);
  const reader = await mptcpReader(t, running.port, path, `0-${length - 1}`);
  await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
  return { running, reader };
}

for (const place of places) {
  for (const engine of everyEngine) {
    test(`a client of MPTCP that has not read gets what it asked for, by ${engine} from ${place}`, {
      ...skip,
    }, async (t) => {
      const { running, reader } = await unreadByMptcp(t, place, { engine });
      // What is written without asking reaches whatever the peer still has of the file's own pages.
      overwrite(`${running.dir}/file.bin`, 0, changed);
      assert.deepEqual(await reader.read(), { status: 206, sha256: sha256(old) });
    });
  }

  test(`an overwrite waits for no client of MPTCP, and changes nothing that it reads, on ${place}`, {
    ...skip,
  }, async (t) => {
    const { running, reader } = await unreadByMptcp(t, place);
    assert.equal((await send(t, running, overwriting(path, 0, changed, 0))).status, 204);
    assert.ok(fileIn(running, 'file.bin').equals(changed));
    assert.deepEqual(await reader.read(), { status: 206, sha256: sha256(old) });
  });
}

test('what a client of MPTCP gets is counted as copied', { ...skip }, async (t) => {
  for (const engine of copyFreeEngines) {
    const { running, reader } = await unreadByMptcp(t, 'ext4', { engine });
    const { copiedBytes, references } = running.service.relay.counters();
    assert.deepEqual([copiedBytes.copy, references], [length, 0]);
    await reader.read();
  }
});
