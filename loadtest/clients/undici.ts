/** Everything that autocannon can't do, fixed rates, and bodies that are compared: undici's clients, one connection each. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'undici';
import { type Ask, asksOf, type Came, type Span } from '../model/patterns.ts';
import { randomFrom } from '../model/random.ts';
import { type Answer, exchange } from './exchange.ts';
import type { Job } from './job.ts';
import { recordLatency } from './latency.ts';
import { readMultipart } from './multipart.ts';
import { openReference, type Reference } from './reference.ts';
import { type ClientResult, Tally } from './tally.ts';

const answerMilliseconds = 15_000;

/** Runs a job to its end: what is under way when its time is over is still read. */
export async function runUndici(job: Job): Promise<ClientResult> {
  const reference = job.reference && openReference(job.reference);
  const tally = new Tally(job);
  const schedule = scheduleOf(job, tally);
  const users = Array.from({ length: job.scenario.connections }, (_, at) => use(job, reference, tally, schedule, at));
  await Promise.all(users);
  return tally.result('undici', schedule.missed());
}

async function use(job: Job, reference: Reference | undefined, tally: Tally, schedule: Schedule, number: number) {
  const times = { headersTimeout: answerMilliseconds, bodyTimeout: answerMilliseconds };
  const { socketPath } = job;
  const client = new Client(job.origin, { ...times, pipelining: 1, ...(socketPath !== undefined && { socketPath }) });
  const asks = asksOf(job.scenario, job.regionBytes, randomFrom(job.seed * 10_007 + number));
  const { kept } = job.scenario;
  let came: Came | undefined;
  let asked = 0;
  for (let turn = await schedule.next(); turn; turn = await schedule.next()) {
    const ask = asks(came);
    const isChecked = reference !== undefined && turn.number % job.checkEvery === 0;
    const isLast = typeof kept === 'number' && ++asked % kept === 0;
    const answer = await exchange(client, job, ask, { number: turn.number, isLast }, isChecked);
    note(tally, ask, answer, turn.due);
    if (isChecked && !answer.fault && answer.bytes > 0) check(job, tally, reference, ask, answer);
    came = answer;
  }
  await client.destroy();
}

function note(tally: Tally, ask: Ask, { fault, isAborted, status, bytes }: Answer, due: number): void {
  const asked = ask.spans.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  if (fault) tally.fault(ask, fault);
  else if (isAborted) tally.aborted(status, bytes, asked);
  else {
    tally.whole(status, bytes);
    recordLatency(tally.latency, (performance.now() - due) * 1000);
  }
}

function check(job: Job, tally: Tally, reference: Reference, ask: Ask, { chunks, contentType, bytes }: Answer): void {
  const wrong = wrongBody(job, reference, ask, contentType, Buffer.concat(chunks));
  if (wrong === undefined) tally.checked(bytes);
  else tally.fault(ask, { kind: 'wrong-bytes', detail: wrong });
}

function wrongBody(job: Job, reference: Reference, ask: Ask, contentType: string, body: Buffer): string | undefined {
  try {
    const base = ask.region * job.regionBytes;
    const pieces = piecesOf(ask.spans, contentType, body, job.regionBytes);
    return pieces.map(([first, bytes]) => reference(base + first, bytes)).find((wrong) => wrong !== undefined);
  } catch (error) {
    return `no multipart/byteranges: ${(error as Error).message}`;
  }
}

function piecesOf(spans: readonly Span[], contentType: string, body: Buffer, regionBytes: number): [number, Buffer][] {
  if (spans.length === 1) return [[spans[0]?.[0] ?? 0, body]];
  const parts = readMultipart(contentType, body, regionBytes);
  const [are, must] = [parts.map(({ span }) => span.join('-')), spans.map((span) => span.join('-'))];
  if (are.join() !== must.join()) throw new Error(`its parts are ${are.join()}, not ${must.join()}`);
  return parts.map(({ span, bytes }) => [span[0], bytes]);
}

type Schedule = ReturnType<typeof scheduleOf>;

/** When the next request is due, for all connections of a job together. */
function scheduleOf({ seconds, most, scenario: { rate } }: Job, tally: Tally) {
  const end = tally.began + seconds * 1000;
  let asked = 0;
  return {
    /** Resolves when somebody is to ask again; to undefined when nobody is any more. */
    async next(): Promise<{ readonly number: number; readonly due: number } | undefined> {
      const isOver = asked > 0 && performance.now() >= end;
      if (tally.failed || asked >= most || isOver) return undefined;
      const number = asked++;
      if (rate === undefined) return { number, due: performance.now() };
      const due = tally.began + (number / rate) * 1000;
      if (number > 0 && due >= end) return undefined;
      const early = due - performance.now();
      // Late: its wait counts, whoever was asked before it (coordinated omission). A timer that fires late does not.
      if (early <= 0) return { number, due };
      await delay(early);
      return tally.failed ? undefined : { number, due: performance.now() };
    },

    /** What was due and was never sent, unless no more requests were allowed. */
    missed(): number {
      if (rate === undefined || tally.failed || asked >= most) return 0;
      return Math.max(0, Math.floor(seconds * rate) - asked);
    },
  };
}
