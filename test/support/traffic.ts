/** What clients of every kind do, well-behaved and not, each checking every byte that it gets. @module */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { EndedEarly, RawClient } from './raw.ts';
import type { Scope } from './scope.ts';

/** A region to ask for, and what it holds. */
export type Target = { readonly port: number; readonly path: string; readonly content: Buffer };

/** Numbers from 0 to `below` - 1, determined by a seed (xorshift32). */
export type Dice = (below: number) => number;

export function makeDice(seed: number): Dice {
  let state = (seed * 2654435761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

type Act = (client: RawClient, target: Target, dice: Dice) => Promise<void>;

const kibibyte = 1 << 10;
const requestLine = (method: string, { path }: Target, fields = '') =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`;

function rangeOf({ content }: Target, dice: Dice, most: number): { first: number; last: number; bytes: Buffer } {
  const length = 1 + dice(most);
  const first = dice(content.length - length);
  return { first, last: first + length - 1, bytes: content.subarray(first, first + length) };
}

async function checkBody(client: RawClient, status: number, expected: Buffer): Promise<void> {
  const head = await client.head();
  assert.deepEqual([head.status, Number(head.fields.get('content-length'))], [status, expected.length]);
  // In parts: what waits to be compared shall not be the whole body.
  for (let at = 0; at < expected.length; at += 256 * kibibyte) {
    const part = expected.subarray(at, at + 256 * kibibyte);
    assert.ok((await client.take(part.length)).equals(part), `bytes at ${at}`);
  }
}

const smallRange: Act = async (client, target, dice) => {
  for (let again = 0; again < 10; again++) {
    const { first, last, bytes } = rangeOf(target, dice, 40 * kibibyte);
    client.get(target.path, `${first}-${last}`);
    await checkBody(client, 206, bytes);
  }
};

const largeRange: Act = async (client, target, dice) => {
  const { first, last, bytes } = rangeOf(target, dice, target.content.length - 1);
  client.get(target.path, `${first}-${last}`);
  await checkBody(client, 206, bytes);
};

const whole: Act = async (client, target) => {
  client.get(target.path);
  await checkBody(client, 200, target.content);
};

const severalRanges: Act = async (client, target, dice) => {
  const third = Math.floor(target.content.length / 3);
  const parts = [0, 1, 2].map((part) => ({
    first: part * third + dice(1000),
    last: part * third + 2000 + dice(90_000),
  }));
  client.get(target.path, parts.map(({ first, last }) => `${first}-${last}`).join(','));
  const { status, fields, body } = await client.response();
  assert.equal(status, 206);
  assert.match(fields.get('content-type') ?? '', /^multipart\/byteranges/);
  for (const { first, last } of parts) assert.ok(body.includes(target.content.subarray(first, last + 1)));
};

const withoutBody: Act = async (client, target) => {
  client.write(requestLine('HEAD', target));
  const head = await client.response('HEAD');
  assert.deepEqual([head.status, Number(head.fields.get('content-length'))], [200, target.content.length]);
  client.write(requestLine('GET', target, `If-None-Match: ${head.fields.get('etag')}\r\n`));
  assert.equal((await client.response()).status, 304);
};

const refused: Act = async (client, target) => {
  client.get(target.path, `${target.content.length}-`);
  assert.equal((await client.response()).status, 416);
  client.get(target.path, '0-9', 'If-Match: "other"\r\n');
  assert.equal((await client.response()).status, 412);
  client.write(requestLine('DELETE', target));
  assert.equal((await client.response()).status, 405);
  client.get(`${target.path}/none`);
  assert.equal((await client.response()).status, 404);
};

const pipelined: Act = async (client, target, dice) => {
  const ranges = Array.from({ length: 8 }, (_, at) => rangeOf(target, dice, at % 3 === 0 ? 900_000 : 9000));
  for (const { first, last } of ranges) client.get(target.path, `${first}-${last}`);
  for (const { bytes } of ranges) await checkBody(client, 206, bytes);
};

const pipelinedAndGone: Act = async (client, target, dice) => {
  for (let again = 0; again < 20; again++) client.get(target.path);
  await client.take(dice(300_000));
  client.destroy();
};

const halfClosed: Act = async (client, target, dice) => {
  const { first, last, bytes } = rangeOf(target, dice, 3_000_000);
  client.get(target.path, `${first}-${last}`);
  client.end();
  await checkBody(client, 206, bytes);
  await assert.rejects(client.take(1), EndedEarly);
};

const closing: Act = async (client, target, dice) => {
  const { first, last, bytes } = rangeOf(target, dice, 3_000_000);
  client.get(target.path, `${first}-${last}`, 'Connection: close\r\n');
  await checkBody(client, 206, bytes);
  await assert.rejects(client.take(1), EndedEarly);
};

const slow: Act = async (client, target) => {
  client.get(target.path);
  assert.equal((await client.head()).status, 200);
  for (let at = 0; at < target.content.length; ) {
    const part = target.content.subarray(at, at + 50_000);
    assert.ok((await client.take(part.length)).equals(part), `bytes at ${at}`);
    at += part.length;
    await setImmediate();
  }
};

const gone: Act = async (client, target, dice) => {
  client.get(target.path);
  await client.take(dice(2_000_000));
  client.destroy();
};

const reset: Act = async (client, target, dice) => {
  client.get(target.path);
  await client.take(dice(2_000_000));
  client.reset();
};

const goneAtOnce: Act = async (client, target) => {
  client.get(target.path);
  await setImmediate();
  client.destroy();
};

const goneAfterFin: Act = async (client, target, dice) => {
  client.get(target.path);
  client.end();
  await client.take(dice(500_000));
  client.destroy();
};

const acts = {
  smallRange,
  largeRange,
  whole,
  severalRanges,
  withoutBody,
  refused,
  pipelined,
  pipelinedAndGone,
  halfClosed,
  closing,
  slow,
  gone,
  reset,
  goneAtOnce,
  goneAfterFin,
} satisfies Record<string, Act>;

/** How often each was done. */
export type Done = Partial<Record<keyof typeof acts, number>>;

/** Plays clients, one after the other, until `deadline` (`performance.now()`) has passed. */
export async function playClients(target: Target, dice: Dice, deadline: number, done: Done): Promise<void> {
  const names = Object.keys(acts) as (keyof typeof acts)[];
  while (performance.now() < deadline) {
    const name = names[dice(names.length)] ?? 'whole';
    await playOne(name, target, dice);
    done[name] = (done[name] ?? 0) + 1;
  }
}

async function playOne(name: keyof typeof acts, target: Target, dice: Dice): Promise<void> {
  const cleanUps: (() => unknown)[] = [];
  const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
  try {
    await acts[name](await RawClient.connect(scope, target.port), target, dice);
  } catch (cause) {
    throw new Error(`${name} at ${target.path}`, { cause });
  } finally {
    for (const cleanUp of cleanUps) cleanUp();
  }
}
