/** Connections whose requests lanes read, and what became of these: answered, fed to Node, or handed over. @module */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Relay } from '../../src/relay/relay.ts';
import { until } from './poll.ts';
import { RawClient, type RawResponse } from './raw.ts';
import type { Scope } from './scope.ts';

/** What has a relay. */
export type WithRelay = { readonly service: { readonly relay: Relay } };

/** What has a relay, and a port, or the path of a unix socket. */
export type Listening = WithRelay & { readonly port: number | string };

/** Who asks: the path, and fields besides Host and Range. */
export type Asked = { readonly path: string; readonly fields?: string };

/** How many requests lanes have answered by themselves. */
export function answersOf({ service }: WithRelay): number {
  return Object.values(service.relay.counters().answers).reduce((sum, count) => sum + count, 0);
}

/** How many requests lanes have fed to Node for this reason; without one, for any. */
export function fedOf({ service }: WithRelay, reason?: string): number {
  return countOf(service.relay.counters().fed, reason);
}

/** How many connections lanes have handed over to Node for this reason; without one, for any. */
export function handedOverOf({ service }: WithRelay, reason?: string): number {
  return countOf(service.relay.counters().handedOver, reason);
}

function countOf(counts: Readonly<Record<string, number>>, reason: string | undefined): number {
  if (reason === undefined) return Object.values(counts).reduce((sum, count) => sum + count, 0);
  return counts[reason] ?? assert.fail(`no reason is called ${reason}`);
}

/** How many connections lanes read now. */
export function readByLanes({ service }: WithRelay): number {
  return service.relay.counters().reading;
}

/**
 * Asks on a connection until a lane was the one that answered, at first for what Node has to publish. Returns the lane's
 * response.
 */
export async function askLane(
  running: WithRelay,
  client: RawClient,
  asked: Asked,
  range: string | 'whole' = '0-9',
): Promise<RawResponse> {
  for (let again = 0; again < 200; again++) {
    await until(() => readByLanes(running) > 0, 'a lane reads a connection');
    const before = { answers: answersOf(running), fed: fedOf(running) };
    client.get(asked.path, range === 'whole' ? undefined : range, asked.fields);
    const response = await client.response();
    assert.ok(response.status === 200 || response.status === 206, `${response.status} ${response.body}`);
    // The client can have read all of it before the lane has counted it.
    const isCounted = () => answersOf(running) > before.answers || fedOf(running) > before.fed;
    await until(isCounted, 'the request is counted', () => running.service.relay.counters());
    if (answersOf(running) > before.answers) return response;
  }
  return assert.fail(`no lane answers: ${JSON.stringify(running.service.relay.counters())}`);
}

/** A new connection on which a lane has answered. */
export async function connectToLane(
  scope: Scope,
  running: Listening,
  asked: Asked,
  range: string | 'whole' = '0-9',
): Promise<RawClient> {
  const client = await RawClient.connect(scope, running.port);
  await askLane(running, client, asked, range);
  return client;
}

/** Waits until lanes read no connection. */
export async function untilNoneRead(running: WithRelay): Promise<void> {
  const counters = () => running.service.relay.counters();
  await until(() => counters().reading === 0, 'no lane reads a connection', counters);
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

/** What a client got, without what is another one each time: the value of Date, and the delimiters of several parts. */
export function comparable(stream: Buffer): string {
  const text = stream.toString('latin1').replace(/(boundary=|--)[0-9a-f]{24}/g, '$1');
  return text.replace(/^(date: )[^\r]*\r$/gim, '$1\r');
}
