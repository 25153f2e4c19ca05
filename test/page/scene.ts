/** A service with something to see: regions of several sizes, readers that wait, readers that read, leases. @module */
import { truncateSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { RawClient } from '../support/raw.ts';
import { writeRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';
import { startWritable, type Writable } from '../support/writable.ts';

const mebibyte = 1 << 20;

const files = [
  ['models/encoder.safetensors', 96],
  ['models/decoder.safetensors', 48],
  ['tables/2026-11.parquet', 24],
  ['images/base.qcow2', 16],
  ['notes.txt', 1],
] as const;

/** Starts it; all of it ends with the scope. */
export async function startScene(scope: Scope): Promise<Writable> {
  const running = await startWritable(scope, 'tmpfs', { lanes: 2, maxHold: 300 });
  for (const [name, size] of files) writeRegion(running.dir, name, size * mebibyte);
  truncateSync(`${running.dir}/notes.txt`, 12_345);
  return running;
}

/** Readers that ask for ranges of a region and read nothing. */
export async function stall(scope: Scope, { port }: Writable, name: string, ranges: readonly string[]): Promise<void> {
  for (const range of ranges) {
    const client = await RawClient.connect(scope, port);
    client.get(`/regions/${name}`, range);
  }
}

/** A reader that reads ranges at random, and rests between them for `pause` milliseconds, until `signal`. */
export async function read(
  scope: Scope,
  { port }: Writable,
  name: string,
  size: number,
  pause: number,
  signal: AbortSignal,
) {
  const client = await RawClient.connect(scope, port);
  while (!signal.aborted) {
    const first = Math.floor(Math.random() * (size - mebibyte));
    client.get(`/regions/${name}`, `${first}-${first + Math.floor(Math.random() * mebibyte)}`);
    const { fields } = await client.head();
    for (let left = Number(fields.get('content-length')); left > 0; left -= 65_536) {
      await client.take(Math.min(left, 65_536));
      if (pause > 0 && Math.random() < 0.2) await delay(pause);
    }
    await delay(pause);
  }
  client.destroy();
}

/** Takes a lease. */
export async function lease({ origin }: Writable, region: string, first: number, last: number, owner: string) {
  const body = JSON.stringify({ region, first, last, ttlSeconds: 280, owner });
  const answer = await fetch(`${origin}/leases`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (answer.status !== 201) throw new Error(await answer.text());
}
