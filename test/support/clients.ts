/** Three kinds of client that fetch a range and tell its hash. @module */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { RawClient } from './raw.ts';
import type { Scope } from './scope.ts';

const run = promisify(execFile);

/** Where a region is, and which of its bytes are wanted: `range` as in the field, without `bytes=`. */
export type Wanted = { readonly port: number; readonly name: string; readonly range: string | undefined };

/** What came: SHA-256 of the body. */
export type Fetched = { readonly status: number; readonly sha256: string };

/** curl, whose body goes to sha256sum and never through this process. */
export async function fetchByCurl(_scope: Scope, { port, name, range }: Wanted): Promise<Fetched> {
  const script = 'curl -sS -w "%{stderr}%{http_code}" "$@" | sha256sum';
  const args = [...(range === undefined ? [] : ['-r', range]), `http://127.0.0.1:${port}/regions/${name}`];
  const { stdout, stderr } = await run('sh', ['-c', script, 'curl', ...args]);
  return { status: Number(stderr), sha256: stdout.slice(0, 64) };
}

/** undici, on a connection of its own. */
export async function fetchByUndici(_scope: Scope, { port, name, range }: Wanted): Promise<Fetched> {
  const dispatcher = new Agent();
  const headers = range === undefined ? {} : { range: `bytes=${range}` };
  const { statusCode, body } = await request(`http://127.0.0.1:${port}/regions/${name}`, { headers, dispatcher });
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  await dispatcher.close();
  return { status: statusCode, sha256: hash.digest('hex') };
}

/** A bare socket. */
export async function fetchRaw(scope: Scope, { port, name, range }: Wanted): Promise<Fetched> {
  const client = await RawClient.connect(scope, port);
  client.get(`/regions/${name}`, range);
  const { status, fields } = await client.head();
  const hash = await client.hash(Number(fields.get('content-length')));
  client.destroy();
  return { status, sha256: hash };
}

export const clients = { curl: fetchByCurl, undici: fetchByUndici, raw: fetchRaw };
