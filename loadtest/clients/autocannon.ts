/**
 * Small ranges by autocannon. What it does not do by itself is put into its connections where they are set up: another
 * Range for each request, a look at each head, bodies that are counted and thrown away (it would make a string of each),
 * and an end that waits for the answers under way, so that all that was asked for is accounted for. @module
 */
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { type Ask, asksOf } from '../model/patterns.ts';
import { randomFrom } from '../model/random.ts';
import { expectedOf, headText, wrongHead } from '../model/request.ts';
import type { Job } from './job.ts';
import { recordLatency } from './latency.ts';
import { type ClientResult, Tally } from './tally.ts';

/** What is used of a connection of autocannon 9 (lib/httpClient.js), which ships no types. */
type AutocannonClient = EventEmitter & {
  /** Ends after so many requests. */
  responseMax?: number;
  readonly reqsMade: number;
  readonly pipelinedRequests: { addBody(data: Uint8Array): void; clear(): void };
  getRequestBuffer(): Uint8Array;
  _connect(): void;
};
type Autocannon = (options: object, done: (error: Error | null) => void) => { stop(): void };
const autocannon: Autocannon = createRequire(import.meta.url)('autocannon');

const timeoutSeconds = 15;
/** How often autocannon looks whether it is to end. */
const sampleMilliseconds = 50;

type Shared = { readonly job: Job; readonly tally: Tally; sent: number; stopped: boolean; readonly stop: () => void };

/** Runs a job of no fixed rate to its end. */
export async function runAutocannon(job: Job): Promise<ClientResult> {
  const tally = new Tally(job);
  const connections = new Set<AutocannonClient>();
  const shared: Shared = { job, tally, sent: 0, stopped: false, stop };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const run = autocannon(
    {
      url: job.origin,
      connections: Math.min(job.scenario.connections, job.most),
      duration: 3 * timeoutSeconds + job.seconds,
      timeout: timeoutSeconds,
      sampleInt: sampleMilliseconds,
      setupClient(client: AutocannonClient) {
        connections.add(client);
        equip(client, shared, connections.size);
        if (shared.stopped) client.responseMax = 1;
      },
    },
    (error) => (error ? reject(error) : resolve()),
  );
  function stop(): void {
    shared.stopped = true;
    if (tally.failed) run.stop();
    for (const client of connections) client.responseMax = Math.max(1, client.reqsMade);
  }
  const timer = setTimeout(stop, job.seconds * 1000);
  await promise;
  clearTimeout(timer);
  return tally.result('autocannon');
}

function equip(client: AutocannonClient, shared: Shared, number: number): void {
  if (typeof client.pipelinedRequests?.addBody !== 'function' || typeof client._connect !== 'function') {
    throw new Error('this version of autocannon is not the one that loadtest/clients/autocannon.ts was written for');
  }
  const { job, tally } = shared;
  const asks = asksOf(job.scenario, job.regionBytes, randomFrom(job.seed * 10_007 + number));
  let ask: Ask | undefined;
  let bytes = 0;
  const fail = (fault: Parameters<Tally['fault']>[1]) => {
    tally.fault(ask, fault);
    ask = undefined;
    shared.stop();
  };
  client.getRequestBuffer = () => {
    ask = asks();
    bytes = 0;
    const text = headText(job, ask, shared.sent);
    if (++shared.sent >= job.most && !shared.stopped) shared.stop();
    return Buffer.from(`${text}\r\n`, 'latin1');
  };
  client.pipelinedRequests.addBody = (data) => {
    bytes += data.length;
  };
  client.on('headers', (head: { statusCode: number; headers: string[] }) => {
    const wrong = ask && wrongHead(job, ask, { status: head.statusCode, field: fieldOf(head.headers) });
    if (wrong) fail(wrong);
  });
  client.on('response', (status: number, _bytes: number, milliseconds: number) => {
    if (!ask) return;
    if (bytes !== expectedOf(job, ask).bodyBytes)
      return fail({ kind: 'short-body', detail: `a body of ${bytes} bytes` });
    tally.whole(status, bytes);
    recordLatency(tally.latency, milliseconds * 1000);
    ask = undefined;
  });
  client.on('timeout', () => fail({ kind: 'no-answer', detail: `nothing came for ${timeoutSeconds} s` }));
  client.on('connError', (error: Error) => fail({ kind: 'no-answer', detail: error.message }));
  // It connects again when a connection ends, and forgets what was asked for on it.
  const connect = client._connect;
  let connected = false;
  client._connect = () => {
    if (connected && ask) {
      const kind = bytes > 0 ? 'short-body' : 'no-answer';
      fail({ kind, detail: `the connection ended after ${bytes} bytes of the body` });
    }
    connected = true;
    client.pipelinedRequests.clear();
    if (!tally.failed) connect.call(client);
  };
}

function fieldOf(raw: readonly string[]): (name: string) => string | undefined {
  return (name) => {
    for (let at = 0; at < raw.length; at += 2) if (raw[at]?.toLowerCase() === name) return raw[at + 1];
    return undefined;
  };
}
