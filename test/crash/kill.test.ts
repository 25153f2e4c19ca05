/**
 * The service is killed in the middle of changes, and started again: `CRASH_ROUNDS` times (6, at length 200), on tmpfs
 * and on ext4, with each `--durability` in turn: what the kernel has outlives the process. What may be found then is in test/support/region-model.ts. `SEED` draws the same again.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Durability } from '../../src/relay/overwriting.ts';
import { amount } from '../support/amount.ts';
import { atAnyMoment, kill, modeOf, serveWritable } from '../support/crash.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf, untilPutRight } from '../support/process.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { drawChange } from '../support/region-changes.ts';
import { type Ending, type Found, RegionModel } from '../support/region-model.ts';
import { makeFolder, type Place } from '../support/regions.ts';
import { ask, change } from '../support/requests.ts';
import type { Scope } from '../support/scope.ts';
import { type Dice, makeDice } from '../support/traffic.ts';

const rounds = amount(6, 200, 'CRASH_ROUNDS');
const seed = Number(process.env.SEED || Date.now() % 100_000);
const places: readonly Place[] = ['tmpfs', 'ext4'];
const names = ['one', 'two.bin', 'three', 'deep/four', 'deep/er/five'];
const changesEach = 8;
// Per region a sidecar, and a lock; some room for what else is kept, none for what piles up.
const mostKept = 4 * names.length + 8;

/** One directory over all its rounds. */
type Course = {
  readonly dir: string;
  readonly dice: Dice;
  readonly models: readonly RegionModel[];
  readonly done: Tally;
};
type Tally = { kills: number; stops: number; acknowledged: number; cutShort: number };

async function stop(child: Child): Promise<void> {
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

type Look = (model: RegionModel, found: Found) => readonly string[];

/** Reads every region, and tells what is wrong with it. */
async function lookAtRegions({ models }: Course, client: RawClient, look: Look): Promise<string[]> {
  const wrong: string[] = [];
  for (const model of models) {
    const { status, fields, body } = await change(client, { method: 'GET', path: `/regions/${model.name}` });
    if (status !== 200 && status !== 404) wrong.push(`${model.name}: ${status} ${body.toString('latin1')}`);
    const found =
      status === 200 ? { content: body, etag: fields.get('etag') } : { content: undefined, etag: undefined };
    wrong.push(...look(model, found));
  }
  return wrong;
}

/** The tree holds the regions, and no more. To be called when what was found is known. */
async function checkFiles({ dir, models }: Course): Promise<void> {
  const existing = models.filter(({ known }) => known !== undefined).map(({ name }) => name);
  const inTree = filesBelow(dir).filter((path) => !path.startsWith('.pagerelay/'));
  assert.deepEqual(inTree.sort(), existing.sort(), 'no file but those of the regions');
  const kept = join(dir, '.pagerelay');
  await until(
    () => filesBelow(join(kept, 'old')).length === 0,
    'replaced files are gone',
    () => filesBelow(kept),
  );
  assert.ok(filesBelow(kept).length <= mostKept, `${filesBelow(kept)}`);
}

/** Changes one region again and again until the service is gone, or it was enough. */
async function changeRegion(model: RegionModel, client: RawClient, dice: Dice, done: Tally): Promise<void> {
  const count = 1 + dice(changesEach);
  for (let turn = 0; turn < count; turn++) {
    const { request, pending, status } = drawChange(model, dice);
    model.begin(pending);
    ask(client, request);
    const response = await client.response();
    const shown = `${model.name}: ${request.method} ${JSON.stringify(request.fields)}`;
    assert.equal(response.status, status, `${shown} ${response.body.toString('latin1')}`);
    const etag = response.fields.get('etag');
    assert.deepEqual(model.acknowledge(pending.next === undefined ? undefined : etag), [], shown);
    done.acknowledged++;
  }
}

function forgiveEnd(done: Tally): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof EndedEarly)) throw error;
    done.cutShort++;
  };
}

async function changeAndEnd(course: Course, child: Child, clients: readonly RawClient[]): Promise<Ending> {
  const { models, dice, done } = course;
  const from = dice(models.length);
  const working = Promise.all(
    clients.map((client, at) => {
      const model = models[(from + at) % models.length] ?? assert.fail();
      return changeRegion(model, client, makeDice(dice(2 ** 31)), done).catch(forgiveEnd(done));
    }),
  );
  const way = dice(10);
  if (way < 3) await working;
  else await Promise.race([working, atAnyMoment(dice, way < 6 ? 12 : 60)]);
  if (way === 0) {
    for (const client of clients) client.destroy();
    await stop(child);
    done.stops++;
    return 'stopped';
  }
  await kill(child);
  await working;
  done.kills++;
  return 'killed';
}

/** Starts the service, sees what there is, changes it, and has the service end. */
async function playRound(scope: Scope, course: Course, before: Ending, mode: Durability): Promise<Ending> {
  const { dir, dice } = course;
  if (dice(10) === 0) {
    const early = serveWritable(scope, dir, mode);
    await atAnyMoment(dice, 400);
    await kill(early);
  }
  const child = serveWritable(scope, dir, mode);
  const origin = await originOf(child);
  const port = Number(new URL(origin).port);
  const reader = await RawClient.connect(scope, port);
  assert.deepEqual(await lookAtRegions(course, reader, (model, found) => model.glimpse(found)), []);
  await untilPutRight(origin);
  assert.deepEqual(filesBelow(join(dir, '.pagerelay', 'tmp')), [], 'what was not finished is gone');
  const connecting = Array.from({ length: 1 + dice(4) }, () => RawClient.connect(scope, port));
  const clients = await Promise.all(connecting);
  assert.deepEqual(await lookAtRegions(course, reader, (model, found) => model.find(found, before)), []);
  await checkFiles(course);
  return changeAndEnd(course, child, clients);
}

async function endScope(cleanUps: (() => unknown)[]): Promise<void> {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
}

async function playRounds(t: TestContext, place: Place, kills: number): Promise<void> {
  const done: Tally = { kills: 0, stops: 0, acknowledged: 0, cutShort: 0 };
  const dice = makeDice(seed + places.indexOf(place));
  const course = { dir: makeFolder(t, place), dice, models: names.map((name) => new RegionModel(name)), done };
  const cleanUps: (() => unknown)[] = [];
  t.after(() => endScope(cleanUps));
  let ending: Ending = 'stopped';
  for (let round = 0; done.kills < kills; round++) {
    try {
      const own = { after: (cleanUp: () => unknown) => void cleanUps.push(cleanUp) };
      ending = await playRound(own, course, ending, modeOf(round));
    } catch (cause) {
      throw new Error(`round ${round} on ${place}, SEED=${seed}`, { cause });
    }
    await endScope(cleanUps);
  }
  t.diagnostic(`${place}: ${JSON.stringify(done)}`);
  assert.ok(done.acknowledged + done.cutShort > done.kills, 'changes came before, between and after');
}

test(`no acknowledged change is lost by ${rounds} kills, and none is found half done`, {
  // Both at once: most of a round is the start of a process.
  concurrency: true,
}, async (t) => {
  t.diagnostic(`SEED=${seed}`);
  await Promise.all(
    places.map((place) => t.test(`on ${place}`, (t) => playRounds(t, place, Math.ceil(rounds / places.length)))),
  );
});
