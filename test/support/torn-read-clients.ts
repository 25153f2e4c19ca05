/**
 * Readers and in-place writers of one region of self-describing pages, in a process of their own: what to play as JSON
 * in the first argument. Prints the history of what was written and seen, as JSON.
 *
 * @module
 */

import { parseMultipart } from './multipart.ts';
import { until } from './poll.ts';
import { EndedEarly, RawClient, type RawResponse } from './raw.ts';
import { askForRange, change, overwriting } from './requests.ts';
import type { Scope } from './scope.ts';
import { describePages, pageSize, stampsOf } from './self-describing.ts';
import type { PageWrite, Seen, SeenPages } from './snapshots.ts';
import { type Dice, makeDice } from './traffic.ts';

/** A region of so many pages, and how many of each kind of client. */
export type TornReadPlay = {
  readonly port: number;
  readonly path: string;
  readonly pages: number;
  readonly seed: number;
  readonly milliseconds: number;
  readonly writers: number;
  readonly readers: Readonly<Record<ReaderKind, number>>;
};

/** What came of it. */
export type TornReadResult = {
  readonly writes: PageWrite[];
  readonly seen: Seen[];
  /** How many responses ended short of their length, by the kind of reader. */
  readonly short: Partial<Record<string, number>>;
  /** Error answers: to whom, status and code. */
  readonly refusals: string[];
};

type Extent = { readonly firstPage: number; readonly pages: number };
type Reader = { readonly name: string; readonly client: RawClient; readonly dice: Dice };

/*
 * quick: reads what comes, 4 KiB to 8 MiB.
 * scattered: several ranges at once.
 * whole: all of the region, more than all queues hold, with a stall before each part.
 * stalling: stalls in the middle, with bytes unread, and reads on.
 * sleeping: asks for more than all queues hold and does not read, until it has been broken off.
 */
const readerKinds = {
  quick: readQuickly,
  scattered: readScattered,
  whole: readWhole,
  stalling: readWithStalls,
  sleeping: readAfterSleep,
} satisfies Record<string, (reader: Reader) => Promise<void>>;

export type ReaderKind = keyof typeof readerKinds;

const play = JSON.parse(process.argv[2] ?? '{}') as TornReadPlay;
const deadline = now() + play.milliseconds;
const result: TornReadResult = { writes: [], seen: [], short: {}, refusals: [] };
const most = (8 << 20) / pageSize;
const pagesAtOnce = 64;
const waitSeconds = 8;

// CLOCK_MONOTONIC in milliseconds, the same for all processes.
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function pause(milliseconds: number): Promise<void> {
  const end = now() + milliseconds;
  return until(() => now() >= end, 'the pause is over');
}

// 1 to `atMost`, small ones as often as large ones.
function anySize(dice: Dice, atMost: number): number {
  const power = 2 ** dice(Math.log2(atMost) + 1);
  return Math.min(atMost, power + dice(power));
}

function anyExtent(dice: Dice, pages: number): Extent {
  return { firstPage: dice(play.pages - pages + 1), pages };
}

function rangeOf({ firstPage, pages }: Extent): string {
  return `${firstPage * pageSize}-${(firstPage + pages) * pageSize - 1}`;
}

async function write(writer: number, client: RawClient, dice: Dice): Promise<void> {
  const { firstPage, pages } = anyExtent(dice, anySize(dice, pagesAtOnce));
  const stamp = result.writes.length + 1;
  const body = describePages(firstPage, pages, writer, stamp);
  const at = result.writes.push({ stamp, firstPage, pages, sent: now(), refused: false }) - 1;
  const response = await change(client, overwriting(play.path, firstPage * pageSize, body, waitSeconds));
  const outcome = { done: now(), etag: response.fields.get('etag'), refused: response.status !== 204 };
  if (outcome.refused) result.refusals.push(refusalOf('writer', response));
  Object.assign(result.writes[at] ?? {}, outcome);
}

function refusalOf(who: string, { status, body }: Pick<RawResponse, 'status' | 'body'>): string {
  const [, code = ''] = /"code":"([^"]*)"/.exec(body.toString('latin1')) ?? [];
  return `${who}: ${status} ${code}`;
}

/** Asks, and waits for the head. Undefined when it was refused. */
async function begin(reader: Reader, range: string): Promise<(Seen & { length: number; type: string }) | undefined> {
  const asked = now();
  askForRange(reader.client, play.path, range);
  const { status, fields } = await reader.client.head();
  const length = Number(fields.get('content-length'));
  if (status === 206) {
    const type = fields.get('content-type') ?? '';
    return { reader: reader.name, etag: fields.get('etag') ?? '', asked, headed: now(), extents: [], length, type };
  }
  result.refusals.push(refusalOf(reader.name, { status, body: await reader.client.take(length) }));
  return undefined;
}

// Whole pages as they come, and those of a body that ends short.
async function readPages({ name, client }: Reader, { firstPage, pages }: Extent, stamps: number[]): Promise<void> {
  while (stamps.length < pages) {
    const count = Math.min(pagesAtOnce, pages - stamps.length);
    try {
      stamps.push(...stampsOf(await client.take(count * pageSize), firstPage + stamps.length));
    } catch (error) {
      if (!(error instanceof EndedEarly)) throw error;
      stamps.push(...stampsOf(await client.take(error.got), firstPage + stamps.length));
      result.short[name] = (result.short[name] ?? 0) + 1;
      return;
    }
  }
}

async function readOne(reader: Reader, extent: Extent, stalls: readonly number[]): Promise<void> {
  const begun = await begin(reader, rangeOf(extent));
  if (!begun) return;
  const stamps: number[] = [];
  for (const [at, stall] of stalls.entries()) {
    await pause(stall);
    const share = Math.floor((extent.pages * (at + 1)) / stalls.length);
    if (!reader.client.ended) await readPages(reader, { ...extent, pages: share }, stamps);
  }
  note(begun, [{ firstPage: extent.firstPage, stamps }]);
}

function note({ reader, etag, asked, headed }: Seen, extents: readonly SeenPages[]): void {
  result.seen.push({ reader, etag, asked, headed, extents });
}

function readQuickly(reader: Reader): Promise<void> {
  return readOne(reader, anyExtent(reader.dice, anySize(reader.dice, most)), [0]);
}

function readWhole(reader: Reader): Promise<void> {
  const stalls = Array.from({ length: 6 }, () => reader.dice(60));
  return readOne(reader, { firstPage: 0, pages: play.pages }, [100, ...stalls]);
}

function readWithStalls(reader: Reader): Promise<void> {
  const { dice } = reader;
  return readOne(reader, anyExtent(dice, 16 + anySize(dice, most / 2)), [100 + dice(200), dice(150)]);
}

async function readAfterSleep(reader: Reader): Promise<void> {
  await readOne(reader, anyExtent(reader.dice, most), [800 + reader.dice(400)]);
  await pause(500);
}

async function readScattered(reader: Reader): Promise<void> {
  const parts = 4;
  const stride = Math.floor(play.pages / parts);
  const extents = Array.from({ length: parts }, (_, part) => {
    const pages = anySize(reader.dice, pagesAtOnce);
    return { firstPage: part * stride + reader.dice(stride - pages), pages };
  });
  const begun = await begin(reader, extents.map(rangeOf).join(','));
  if (!begun) return;
  await pause(reader.dice(2) * 100);
  const body = await reader.client.take(begun.length);
  const bodies = parseMultipart(begun.type, body).map((part) => part.body);
  note(
    begun,
    extents.map(({ firstPage }, at) => ({ firstPage, stamps: stampsOf(bodies[at] ?? Buffer.alloc(0), firstPage) })),
  );
}

/** Does the same once, and again and again until the deadline, on one connection for as long as it lasts. */
async function repeat(name: string, dice: Dice, once: (client: RawClient) => Promise<void>): Promise<void> {
  const cleanUps: (() => unknown)[] = [];
  const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
  let client = await RawClient.connect(scope, play.port);
  do {
    // Now and then by itself, so that there are first requests too.
    if (client.ended || dice(16) === 0) {
      client.destroy();
      client = await RawClient.connect(scope, play.port);
    }
    try {
      await once(client);
    } catch (error) {
      // Between the head of a response and what is judged of it, or before the head of the next one.
      if (!(error instanceof EndedEarly)) throw error;
      result.short[name] = (result.short[name] ?? 0) + 1;
    }
  } while (now() < deadline);
  for (const cleanUp of cleanUps) cleanUp();
}

async function readAtTheEnd(): Promise<void> {
  const client = await RawClient.connect({ after() {} }, play.port);
  await readOne({ name: 'last', client, dice: makeDice(1) }, { firstPage: 0, pages: play.pages }, [0]);
  client.destroy();
}

const playing: Promise<void>[] = [];
for (let writer = 1; writer <= play.writers; writer++) {
  const dice = makeDice(play.seed + writer);
  playing.push(repeat('writer', dice, (client) => write(writer, client, dice)));
}
for (const [kind, count] of Object.entries(play.readers) as [ReaderKind, number][]) {
  for (let at = 0; at < count; at++) {
    const dice = makeDice(play.seed + 100 * (at + 1) + kind.length);
    playing.push(repeat(kind, dice, (client) => readerKinds[kind]({ name: kind, client, dice })));
  }
}
await Promise.all(playing);
await readAtTheEnd();
console.log(JSON.stringify(result));
