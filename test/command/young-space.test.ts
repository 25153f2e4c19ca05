/** How much memory young objects have in a service that takes bodies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originOf, startCli, untilPutRight } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { change, overwriting } from '../support/requests.ts';

const bytes = 64 * 1024;

async function youngSpace(origin: string): Promise<number> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  return Number(/^nodejs_heap_space_size_total_bytes\{space="new"\} (\S+)$/m.exec(text)?.[1] ?? assert.fail(text));
}

test('the space for young objects does not grow while bodies come, so that their buffers go soon', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'region', bytes);
  const child = startCli(t, ['serve', '--dir', dir, '--writable', '--port', '0', '--log-level', 'error']);
  const origin = await originOf(child);
  await untilPutRight(origin);
  const before = await youngSpace(origin);
  const clients = await Promise.all(
    Array.from({ length: 8 }, () => RawClient.connect(t, Number(new URL(origin).port))),
  );
  const body = seededBytes(bytes, 1);
  const overwriteOften = async (client: RawClient) => {
    for (let turn = 0; turn < 60; turn++) {
      assert.equal((await change(client, overwriting('/regions/region', 0, body, 10))).status, 204);
    }
  };
  await Promise.all(clients.map(overwriteOften));
  assert.ok((await youngSpace(origin)) <= before);
});
