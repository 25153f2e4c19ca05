/** Connections that lanes answer on by themselves, and what was answered so. @module */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Relay } from '../../src/relay/relay.ts';
import { until } from './poll.ts';
import { RawClient } from './raw.ts';
import type { Scope } from './scope.ts';

/** What has a relay, and a port. */
export type Express = { readonly service: { readonly relay: Relay }; readonly port: number };

/** Who asks: the path, and fields besides Host and Range. */
export type Asked = { readonly path: string; readonly fields?: string };

/** How many requests lanes have answered by themselves. */
export function answersOf({ service }: Pick<Express, 'service'>): number {
  const { whole, ranged } = service.relay.counters().answers;
  return whole + ranged;
}

/** How many connections lanes have now. */
export function grantedOf({ service }: Pick<Express, 'service'>): number {
  return service.relay.counters().granted;
}

/** How many connections came back, for this reason. */
export function returnsOf({ service }: Pick<Express, 'service'>, reason: string): number {
  return service.relay.counters().returns[reason] ?? assert.fail(`no reason is called ${reason}`);
}

/**
 * Has a lane answer on a connection by itself, by asking for what `range` is, again and again. Returns the last response.
 */
export async function haveGranted(running: Express, client: RawClient, asked: Asked, range: string | 'whole' = '0-9') {
  const { grants } = running.service.relay.counters();
  const answers = answersOf(running);
  for (let again = 0; again < 200; again++) {
    client.get(asked.path, range === 'whole' ? undefined : range, asked.fields);
    const response = await client.response();
    assert.ok(response.status === 200 || response.status === 206, `${response.status} ${response.body}`);
    if (running.service.relay.counters().grants > grants || answersOf(running) > answers) return response;
  }
  return assert.fail(`nothing was granted: ${JSON.stringify(running.service.relay.counters())}`);
}

/** A new connection that its lane has. */
export async function connectGranted(
  scope: Scope,
  running: Express,
  asked: Asked,
  range: string | 'whole' = '0-9',
): Promise<RawClient> {
  const client = await RawClient.connect(scope, running.port);
  await haveGranted(running, client, asked, range);
  return client;
}

/** Waits until Node has every connection again. */
export async function untilNoneGranted(running: Pick<Express, 'service'>): Promise<void> {
  const counters = () => running.service.relay.counters();
  await until(() => counters().granted === 0, 'no connection is granted', counters);
}

/** Writes pieces so that each has left before the next. */
export async function writeInPieces(client: RawClient, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    if (client.socket.destroyed || !client.socket.writable) return;
    client.write(piece);
    await turn();
    await turn();
  }
}

/** A stream cut at places from 0 to 1. */
export function cutAt(stream: string, places: readonly number[]): string[] {
  const ends = [...new Set(places.map((place) => Math.floor(place * stream.length)))].sort((a, b) => a - b);
  const pieces = ends.map((end, at) => stream.slice(at === 0 ? 0 : ends[at - 1], end));
  return [...pieces, stream.slice(ends.at(-1) ?? 0)].filter((piece) => piece !== '');
}

/**
 * What a client got, with the fields of each head in order (a lane writes some of them last), and without what is
 * another one each time: Date, and the delimiters of several parts.
 */
export function withoutOrder(stream: Buffer): string {
  const text = stream.toString('latin1').replace(/(boundary=|--)[0-9a-f]{24}/g, '$1');
  return text.replace(/HTTP\/1\.1 \d{3} [^\r]*\r\n(?:[^\r]+\r\n)*\r\n/g, (head) => {
    const [line = '', ...fields] = head.slice(0, -4).split('\r\n');
    const kept = fields.filter((field) => !/^date:/i.test(field)).sort();
    return `${[line, ...kept].join('\r\n')}\r\n\r\n`;
  });
}
