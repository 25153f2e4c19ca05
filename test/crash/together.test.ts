/**
 * Several writers overwrite parts of one region, and so share flushes where they may; the service is killed among them and
 * started again, `CRASH_ROUNDS` times (2, at length 60), on tmpfs and on ext4 with each `--durability` in turn. `SEED`
 * draws the same again.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { amount } from '../support/amount.ts';
import { atAnyMoment, kill, modeOf, serveWritable } from '../support/crash.ts';
import { originOf, untilPutRight } from '../support/process.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { makeFolder, type Place, seededBytes, writeRegion } from '../support/regions.ts';
import { ask, change, overwriting } from '../support/requests.ts';
import type { Scope } from '../support/scope.ts';
import { pageSize } from '../support/self-describing.ts';
import { type Dice, makeDice } from '../support/traffic.ts';

const rounds = amount(2, 60, 'CRASH_ROUNDS');
const seed = Number(process.env.SEED || Date.now() % 100_000);
const path = '/regions/shared';
const writerCount = 8;
const partBytes = 12 * pageSize;

/** One writer's part of the region: what was acknowledged, and what was asked for since. */
type Part = { readonly first: number; known: Buffer; pending: Buffer | undefined };

async function overwriteUntilTheEnd(part: Part, client: RawClient, dice: Dice, onWritten: () => void): Promise<void> {
  for (;;) {
    part.pending = seededBytes(partBytes, dice(2 ** 31));
    ask(client, overwriting(path, part.first, part.pending, 10));
    try {
      assert.equal((await client.response()).status, 204);
    } catch (error) {
      if (error instanceof EndedEarly) return;
      throw error;
    }
    part.known = part.pending;
    part.pending = undefined;
    onWritten();
  }
}

/** It has the bytes that were acknowledged last, or those that were asked for since; all of them. */
function check(part: Part, content: Buffer): void {
  const found = Buffer.from(content.subarray(part.first, part.first + partBytes));
  assert.ok(part.known.equals(found) || part.pending?.equals(found), `what is at ${part.first}`);
  part.known = found;
  part.pending = undefined;
}

async function startAndCheck(scope: Scope, dir: string, parts: readonly Part[], round: number) {
  const child = serveWritable(scope, dir, modeOf(seed + round));
  const origin = await originOf(child);
  await untilPutRight(origin);
  const port = Number(new URL(origin).port);
  const reader = await RawClient.connect(scope, port);
  const { status, body } = await change(reader, { method: 'GET', path });
  assert.equal(status, 200);
  for (const part of parts) check(part, body);
  return { child, port };
}

async function playRound(scope: Scope, dir: string, parts: readonly Part[], dice: Dice, round: number) {
  const { child, port } = await startAndCheck(scope, dir, parts, round);
  const clients = await Promise.all(parts.map(() => RawClient.connect(scope, port)));
  let written = 0;
  const isEnough = Promise.withResolvers<void>();
  const enough = 1 + dice(3 * writerCount);
  const onWritten = () => {
    written++;
    if (written === enough) isEnough.resolve();
  };
  const writing = parts.map((part, at) => {
    const client = clients[at];
    assert.ok(client);
    return overwriteUntilTheEnd(part, client, makeDice(dice(2 ** 31)), onWritten);
  });
  await Promise.race([isEnough.promise, Promise.all(writing)]);
  await atAnyMoment(dice, 10);
  await kill(child);
  await Promise.all(writing);
  return written;
}

async function playRounds(t: TestContext, place: Place, kills: number): Promise<void> {
  const dice = makeDice(seed + (place === 'ext4' ? 1 : 0));
  const dir = makeFolder(t, place);
  writeRegion(dir, 'shared', writerCount * partBytes);
  const bytes = seededBytes(writerCount * partBytes, 1);
  const parts = Array.from({ length: writerCount }, (_, at): Part => {
    const first = at * partBytes;
    return { first, known: bytes.subarray(first, first + partBytes), pending: undefined };
  });
  let written = 0;
  for (let round = 0; round < kills; round++) written += await playRound(t, dir, parts, dice, round);
  await startAndCheck(t, dir, parts, kills);
  t.diagnostic(`${place}: ${written} acknowledged`);
}

test(`of writers of one region no acknowledged overwrite is lost by ${rounds} kills`, {
  concurrency: true,
}, async (t) => {
  t.diagnostic(`SEED=${seed}`);
  const places: readonly Place[] = ['tmpfs', 'ext4'];
  await Promise.all(places.map((place) => t.test(`on ${place}`, (t) => playRounds(t, place, Math.ceil(rounds / 2)))));
});
