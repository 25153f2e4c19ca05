/** Readers of `/regions/file.bin` that have what they asked for with their sockets, and do not read it. @module */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { outcomesOf } from './holds.ts';
import { until } from './poll.ts';
import { RawClient } from './raw.ts';
import { ask, askForRange, overwriting } from './requests.ts';
import { fileIn, refusalIn, send, untilWaiting, type Writable } from './writable.ts';

const path = '/regions/file.bin';

/** A reader whose bytes are all with its socket, and that it does not read. */
export async function unread(t: TestContext, running: Writable, first: number, last: number): Promise<RawClient> {
  const reader = await RawClient.connect(t, running.port);
  const { complete = 0 } = outcomesOf(running.service);
  askForRange(reader, path, `${first}-${last}`);
  await until(() => (outcomesOf(running.service).complete ?? 0) > complete, 'all is sent');
  return reader;
}

async function etagOf(t: TestContext, running: Writable): Promise<string> {
  const { fields } = await send(t, running, { method: 'GET', path, fields: { range: 'bytes=0-0' } });
  return fields.get('etag') ?? assert.fail('an entity-tag');
}

/** An overwrite waits until such a reader has read, and then writes; if it may not wait, it leaves all as it is. */
export async function waitsForReader(t: TestContext, running: Writable, first: number, body: Buffer): Promise<void> {
  const file = fileIn(running, 'file.bin');
  const end = first + body.length;
  const reader = await unread(t, running, first, end - 1);
  const etag = await etagOf(t, running);
  const refused = await send(t, running, overwriting(path, first, body, 0));
  assert.deepEqual(refusalIn(refused), [409, 'range-busy']);
  assert.ok(fileIn(running, 'file.bin').equals(file), 'nothing has changed');
  assert.equal(await etagOf(t, running), etag);
  const writer = await RawClient.connect(t, running.port);
  const { fields, ...request } = overwriting(path, first, body, 15);
  ask(writer, { ...request, fields: { ...fields, 'if-match': etag } });
  await untilWaiting(running, 1);
  assert.ok((await reader.response()).body.equals(file.subarray(first, end)), 'the reader has what was there');
  assert.equal((await writer.response()).status, 204);
  assert.ok(fileIn(running, 'file.bin').subarray(first, end).equals(body));
  for (const client of [reader, writer]) client.destroy();
}
