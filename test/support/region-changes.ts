/** Random changes of a region, and what each of them makes of its content. @module */
import { createHash } from 'node:crypto';
import type { Content, Pending, RegionModel } from './region-model.ts';
import { seededBytes } from './regions.ts';
import { type Change, overwriting } from './requests.ts';
import type { Dice } from './traffic.ts';

/** A request, what it changes, and the status that says that it has. */
export type Drawn = { readonly request: Change; readonly pending: Pending; readonly status: number };

const most = 1 << 20;
const waitSeconds = 10;

/** A change that a region as it is known must take. */
export function drawChange({ name, known, etag }: RegionModel, dice: Dice): Drawn {
  const path = `/regions/${name}`;
  if (known === undefined) return create(path, dice);
  const share = dice(100);
  if (share < 40 && known.length > 0) return overwrite(path, known, dice);
  if (share < 65) return resize(path, known, dice);
  if (share < 80) return remove(path);
  return replace(path, etag ?? '', dice);
}

function create(path: string, dice: Dice): Drawn {
  const body = anyBytes(dice, most);
  const fields = { ...(dice(3) === 0 ? { 'if-none-match': '*' } : {}), ...anyDigest('repr-digest', body, dice) };
  return { request: { method: 'PUT', path, fields, body }, pending: { kind: 'whole', next: body }, status: 201 };
}

function replace(path: string, etag: string, dice: Dice): Drawn {
  const body = anyBytes(dice, most);
  const fields = { ...(dice(3) === 0 ? { 'if-match': etag } : {}), ...anyDigest('content-digest', body, dice) };
  return { request: { method: 'PUT', path, fields, body }, pending: { kind: 'whole', next: body }, status: 204 };
}

function overwrite(path: string, known: Buffer, dice: Dice): Drawn {
  const body = anyBytes(dice, known.length);
  const first = dice(known.length - body.length + 1);
  const next = Buffer.from(known);
  body.copy(next, first);
  const request = overwriting(path, first, body, waitSeconds);
  const fields = { ...request.fields, ...anyDigest('content-digest', body, dice) };
  return { request: { ...request, fields }, pending: { kind: 'overwritten', next }, status: 204 };
}

// What a region grows by is zeros, whatever was there before it shrank.
function resize(path: string, known: Buffer, dice: Dice): Drawn {
  const size = dice(8) === 0 ? 0 : anySize(dice, most);
  const next = Buffer.alloc(size);
  known.copy(next);
  const fields = { 'content-type': 'application/merge-patch+json' };
  const body = Buffer.from(JSON.stringify({ size }));
  return { request: { method: 'PATCH', path, fields, body }, pending: { kind: 'resized', next }, status: 204 };
}

function remove(path: string): Drawn {
  const next: Content = undefined;
  return { request: { method: 'DELETE', path }, pending: { kind: 'whole', next }, status: 204 };
}

// 1 to `atMost`, small ones as often as large ones.
function anySize(dice: Dice, atMost: number): number {
  const power = 2 ** dice(Math.floor(Math.log2(atMost)) + 1);
  return Math.min(atMost, power + dice(power));
}

function anyBytes(dice: Dice, atMost: number): Buffer {
  return seededBytes(anySize(dice, atMost), dice(2 ** 31));
}

// Of a whole body both fields mean the same (RFC 9530 2, 3).
function anyDigest(field: string, body: Buffer, dice: Dice): Record<string, string> {
  if (dice(3) > 0) return {};
  return { [field]: `sha-256=:${createHash('sha256').update(body).digest('base64')}:` };
}
