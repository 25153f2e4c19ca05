/** Leases, places and holds of one file, against a model that works out anew after each step who may have what. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import fc from 'fast-check';
import type { Generation, Needs } from '../../src/relay/relay.ts';
import type { Shim, ShimClaim, ShimRelay } from '../../src/relay/shim.ts';
import { amount } from '../support/amount.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { shimOrFail } from '../support/shim.ts';

const { EAGAIN, EBADF, ERANGE, ESTALE } = constants.errno;
const page = 4096;
const size = 8 * page + 100;
/** The file is opened twice; the second opening maps no more than this. */
const lessSize = 3 * page + 5;
const kinds = { granted: 4, unwanted: 5, gone: 6 };

type Extent = readonly [offset: number, length: number];
type Segment = Extent | string;
type Claim = {
  readonly id: number;
  readonly writer: boolean;
  readonly needs: Needs;
  /** Whole pages: first byte, and the one after the last. */
  readonly pages: readonly Extent[];
  changes: boolean;
  told: boolean;
};
type Hold = { readonly id: number; readonly segments: readonly Segment[]; sent: number; told: boolean };

class Model {
  /** In the order of asking. */
  queue: Claim[] = [];
  holds: Hold[] = [];
  readonly gone: number[] = [];
  epoch = 0;
  version = 0;
  /** What events have told of, or shall: kind and id. */
  events: string[] = [];

  /** Mostly one of these, sometimes one of another kind, of what is gone, or an invented one. */
  pick(own: readonly { readonly id: number }[], pick: number): number {
    const others = [...this.queue, ...this.holds].map(({ id }) => id).filter((id) => own.every((one) => one.id !== id));
    const wrong = [...others.slice(0, 1), ...this.gone.slice(-1)][pick % 3] ?? 4_194_304 + pick;
    return own[pick % (own.length + 1)]?.id ?? wrong;
  }

  get leases(): Claim[] {
    return this.queue.filter(({ writer }) => writer);
  }

  get places(): Claim[] {
    return this.queue.filter(({ writer }) => !writer);
  }

  claim(id: number, writer: boolean): Claim | undefined {
    return this.queue.find((claim) => claim.id === id && claim.writer === writer);
  }

  hold(id: number): Hold | undefined {
    return this.holds.find((hold) => hold.id === id);
  }

  isGranted(claim: Claim): boolean {
    const earlier = this.queue.slice(0, this.queue.indexOf(claim));
    if (earlier.some((other) => (other.writer || claim.writer) && overlap(other.pages, claim.pages))) return false;
    return !this.holds.some((hold) => isInTheWay(hold, claim));
  }

  /** Whether a writer that isn't granted waits for it, too. */
  isWaitedFor(hold: Hold): boolean {
    return this.queue.some((claim) => isInTheWay(hold, claim) && !this.isGranted(claim));
  }

  drop(id: number): void {
    this.queue = this.queue.filter((claim) => claim.id !== id);
    this.holds = this.holds.filter((hold) => hold.id !== id);
    this.gone.push(id);
  }

  /** Those that were let in by the last step will be told of. */
  tellGranted(): void {
    for (const claim of this.queue) {
      if (claim.told || !this.isGranted(claim)) continue;
      claim.told = true;
      this.events.push(`${kinds.granted} ${claim.id}`);
    }
  }
}

type Real = {
  readonly shim: Shim;
  readonly relay: ShimRelay;
  readonly generation: number;
  readonly less: number;
  readonly seen: string[];
};

function wholePages([offset, length]: Extent): Extent {
  return [offset - (offset % page), Math.ceil((offset + length) / page) * page];
}

function overlap(some: readonly Extent[], others: readonly Extent[]): boolean {
  return some.some(([first, end]) => others.some(([otherFirst, otherEnd]) => first < otherEnd && otherFirst < end));
}

function extentsOf(segments: readonly Segment[]): Extent[] {
  return segments.filter((segment) => typeof segment !== 'string');
}

function lengthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + (typeof segment === 'string' ? segment.length : segment[1]), 0);
}

/** Page by page: those that have a byte which was not copied yet. */
function pagesLeft({ segments, sent }: Hold): Extent[] {
  const pages: Extent[] = [];
  let before = 0;
  for (const segment of segments) {
    if (typeof segment !== 'string') {
      const [offset, length] = segment;
      for (let at = offset; at < offset + length; ) {
        const end = Math.min(offset + length, at - (at % page) + page);
        if (before + end - offset > sent) pages.push(wholePages([at, end - at]));
        at = end;
      }
    }
    before += typeof segment === 'string' ? segment.length : segment[1];
  }
  return pages;
}

/** A stream has copied what it has sent: then it makes no difference whether a writer waits for done or accepted. */
function isInTheWay(hold: Hold, claim: Claim): boolean {
  return claim.writer && claim.needs !== 'nothing' && overlap(pagesLeft(hold), claim.pages);
}

function flat(segments: readonly Segment[]): (number | string)[] {
  return segments.flat();
}

async function waitForEvents(model: Model, { seen }: Real): Promise<void> {
  for (let turns = 0; seen.length < model.events.length && turns < 10_000; turns++) await turnOfTheLoop();
  assert.deepEqual(seen.toSorted(), model.events.toSorted(), 'events');
}

function checkCounters(model: Model, { shim, relay, generation }: Real): void {
  const { references, leases, waitingWriters, waitingReaders } = shim.counters(relay);
  const granted = model.leases.filter((claim) => model.isGranted(claim)).length;
  const expected = {
    references: model.holds.length,
    leases: granted,
    waitingWriters: model.leases.length - granted,
    waitingReaders: model.places.filter((claim) => !model.isGranted(claim)).length,
  };
  assert.deepEqual({ references, leases, waitingWriters, waitingReaders }, expected);
  const settled = model.queue.some(({ changes }) => changes) ? 0 : 1;
  assert.equal(shim.act(relay, 'isSettled', generation, model.epoch, model.version), settled);
  assert.equal(shim.act(relay, 'isSettled', generation, model.epoch, model.version + 1), 0);
}

type Step = fc.AsyncCommand<Model, Real>;

function step(text: string, run: (model: Model, real: Real) => void): Step {
  return {
    check: () => true,
    run: async (model, real) => {
      run(model, real);
      model.tellGranted();
      checkCounters(model, real);
      await waitForEvents(model, real);
    },
    toString: () => text,
  };
}

/** Joins the model's queue as the shim's answer says, if that is the right answer. */
function enter(model: Model, claim: Omit<Claim, 'id'>, wait: boolean, result: ShimClaim | number): void {
  const asked: Claim = { ...claim, id: typeof result === 'number' ? 0 : result.id };
  model.queue.push(asked);
  const granted = model.isGranted(asked);
  asked.told = granted;
  if (granted || wait) {
    assert.deepEqual(result, { id: asked.id, granted });
  } else {
    assert.equal(result, -EAGAIN);
    model.queue.pop();
  }
}

type AskedLease = { offset: number; length: number; needs: Needs; wait: boolean; less: boolean };

function leaseStep(asked: AskedLease): Step {
  return step(`lease(${JSON.stringify(asked)})`, (model, { shim, relay, generation, less }) => {
    const { offset, length, needs, wait } = asked;
    const result = shim.lease(relay, asked.less ? less : generation, offset, length, needs, wait);
    if (length === 0) {
      assert.equal(result, -ERANGE);
    } else {
      const pages = [wholePages([offset, length])];
      enter(model, { writer: true, needs, pages, changes: false, told: false }, wait, result);
    }
  });
}

function beginStep(pick: number, epoch: number): Step {
  return step(`begin(${pick}, ${epoch})`, (model, { shim, relay }) => {
    const id = model.pick(model.leases, pick);
    const claim = model.claim(id, true);
    const result = shim.act(relay, 'beginLease', id, epoch);
    if (!claim || !model.isGranted(claim)) {
      assert.equal(result, -EBADF);
      return;
    }
    model.version = model.epoch === epoch ? model.version + 1 : 1;
    model.epoch = epoch;
    claim.changes = true;
    assert.equal(result, model.version);
  });
}

function touchStep(pick: number): Step {
  return step(`touch(${pick})`, (model, { shim, relay }) => {
    const id = model.pick(model.leases, pick);
    const claim = model.claim(id, true);
    const granted = claim !== undefined && model.isGranted(claim);
    assert.equal(shim.act(relay, 'touchLease', id), granted ? 0 : -EBADF);
    if (granted) claim.changes = true;
  });
}

function endLeaseStep(pick: number, telling: boolean): Step {
  return step(`endLease(${pick}, ${telling})`, (model, { shim, relay }) => {
    const id = model.pick(model.leases, pick);
    const result = shim.act(relay, 'endLease', id, telling ? 1 : 0);
    if (!model.claim(id, true)) {
      assert.equal(result, -EBADF);
      return;
    }
    assert.equal(result, 0);
    model.drop(id);
  });
}

function placeStep(segments: readonly Segment[], onLess: boolean): Step {
  return step(`place(${JSON.stringify(segments)}, ${onLess})`, (model, { shim, relay, generation, less }) => {
    const pages = extentsOf(segments).map(wholePages);
    const result = shim.place(relay, onLess ? less : generation, flat(segments));
    enter(model, { writer: false, needs: 'nothing', pages, changes: false, told: false }, true, result);
  });
}

function endPlaceStep(pick: number): Step {
  return step(`endPlace(${pick})`, (model, { shim, relay }) => {
    const id = model.pick(model.places, pick);
    const place = model.claim(id, false);
    assert.equal(shim.act(relay, 'endPlace', id), place ? 0 : -EBADF);
    if (place) model.drop(id);
  });
}

/** What the place, or having no writer in the way, lets a reader have. */
function mayRead(model: Model, place: Claim | undefined, extent: Extent): boolean {
  const [first, end] = wholePages(extent);
  const usable = place && model.isGranted(place) ? place.pages : [];
  if (usable.some(([placeFirst, placeEnd]) => placeFirst <= first && end <= placeEnd)) return true;
  return !model.queue.some(({ writer, pages }) => writer && overlap(pages, [[first, end]]));
}

type AskedHold = {
  segments: readonly Segment[];
  versionBehind: number;
  less: boolean;
  /** Which claim to pass for a place, if any. */
  place: number | undefined;
};

function expectedOfHold(model: Model, place: Claim | undefined, { segments, versionBehind, less }: AskedHold): number {
  if (versionBehind > 0) return -ESTALE;
  const extents = extentsOf(segments);
  const inside = ([offset, length]: Extent) => length > 0 && offset + length <= (less ? lessSize : size);
  if (extents.length === 0 || !extents.every(inside)) return -ERANGE;
  return extents.every((extent) => mayRead(model, place, extent)) ? 0 : -EAGAIN;
}

function hold(model: Model, real: Real, asked: AskedHold, placeId: number): void {
  const { shim, relay, generation, less } = real;
  const place = model.claim(placeId, false);
  const expected = expectedOfHold(model, place, asked);
  const version = model.version + asked.versionBehind;
  const opening = asked.less ? less : generation;
  const result = shim.hold(relay, opening, model.epoch, version, 'stream', placeId, flat(asked.segments));
  assert.equal(Math.min(result, 0), expected);
  if (expected === 0) model.holds.push({ id: result, segments: asked.segments, sent: 0, told: false });
  if (place && expected !== -ESTALE && expected !== -EAGAIN) model.drop(placeId);
}

function holdStep(asked: AskedHold): Step {
  return step(`hold(${JSON.stringify(asked)})`, (model, real) => {
    hold(model, real, asked, asked.place === undefined ? 0 : model.pick(model.places, asked.place));
  });
}

/** The ordinary way of a place: a hold of just what it was asked for. */
function holdByPlaceStep(pick: number): Step {
  return step(`holdByPlace(${pick})`, (model, real) => {
    const place = model.places[pick % (model.places.length || 1)];
    if (!place) return;
    const segments = place.pages.map(([first, end]): Extent => [first, Math.min(end, size) - first]);
    hold(model, real, { segments, versionBehind: 0, less: false, place: undefined }, place.id);
  });
}

function advanceStep(pick: number, bytes: number): Step {
  return step(`advance(${pick}, ${bytes})`, (model, { shim, relay }) => {
    const id = model.pick(model.holds, pick);
    const held = model.hold(id);
    const expected = !held ? -EBADF : held.sent + bytes > lengthOf(held.segments) ? -ERANGE : 0;
    assert.equal(shim.act(relay, 'advance', id, bytes), expected);
    if (held && expected === 0) held.sent += bytes;
  });
}

function releaseStep(pick: number): Step {
  return step(`release(${pick})`, (model, { shim, relay }) => {
    const id = model.pick(model.holds, pick);
    const held = model.hold(id);
    assert.equal(shim.release(relay, id, 'complete'), held ? 0 : -EBADF);
    if (held) model.drop(id);
  });
}

function pressStep(): Step {
  return step('press()', (model, { shim, relay }) => {
    const inTheWay = model.holds.filter((held) => model.isWaitedFor(held));
    assert.equal(shim.act(relay, 'press', 0), inTheWay.length); // A writer has always waited for longer.
    for (const held of inTheWay) {
      if (!held.told) model.events.push(`${kinds.unwanted} ${held.id}`);
      held.told = true;
    }
  });
}

/** Everything is given back: then nobody waits any more, and the file is gone once it is closed. */
async function giveBack(model: Model, real: Real): Promise<void> {
  const { shim, relay, generation, less } = real;
  for (const { id } of model.holds) assert.equal(shim.release(relay, id, 'cancelled'), 0);
  model.holds = [];
  model.tellGranted();
  while (model.queue[0]) {
    const { id, writer, told } = model.queue[0];
    assert.ok(told, 'the first of the queue has what it waited for');
    assert.equal(writer ? shim.act(relay, 'endLease', id, 0) : shim.act(relay, 'endPlace', id), 0);
    model.drop(id);
    model.tellGranted();
  }
  checkCounters(model, real);
  assert.equal(shim.act(relay, 'retireGeneration', generation), 0);
  await waitForEvents(model, real);
  assert.equal(shim.act(relay, 'closeGeneration', less), 0);
  model.events.push(`${kinds.gone} ${generation}`);
  await waitForEvents(model, real);
}

const pick = fc.nat(20);
const offset = fc.oneof(
  fc.nat(size - 1),
  fc.nat(8).map((at) => at * page),
);
const length = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.nat(3 * page));
const extent = fc.tuple(offset, length).map(([at, bytes]): Extent => [at, Math.min(bytes, size - at)]);
const anyExtent: fc.Arbitrary<Extent> = fc.oneof(
  { weight: 15, arbitrary: extent.filter(([, bytes]) => bytes > 0) },
  { weight: 1, arbitrary: fc.tuple(offset, fc.nat(size)) },
);
const segment: fc.Arbitrary<Segment> = fc.oneof(
  { weight: 6, arbitrary: anyExtent },
  { weight: 1, arbitrary: fc.constant('between') },
);
const segments = fc.array(segment, { minLength: 1, maxLength: 4 });
const placeSegments = fc.array(
  extent.filter(([, bytes]) => bytes > 0),
  { minLength: 1, maxLength: 3 },
);
const mostlyFull = fc.nat(4).map((dice) => dice === 0);
const needs = fc.constantFrom<Needs>('done', 'done', 'accepted', 'nothing');
const askedLease = fc.record({ offset, length, needs, wait: fc.nat(3).map((dice) => dice > 0), less: mostlyFull });
const askedHold = fc.record({
  segments,
  versionBehind: fc.nat(12).map((dice) => (dice === 0 ? 1 : 0)),
  less: mostlyFull,
  place: fc.option(pick, { nil: undefined, freq: 2 }),
});

const steps = [
  askedLease.map(leaseStep),
  askedLease.map(leaseStep),
  askedHold.map(holdStep),
  askedHold.map(holdStep),
  fc.tuple(placeSegments, mostlyFull).map(([list, less]) => placeStep(list, less)),
  pick.map(holdByPlaceStep),
  fc.tuple(pick, fc.oneof(fc.nat(300), fc.nat(3 * page))).map(([at, bytes]) => advanceStep(at, bytes)),
  pick.map(releaseStep),
  fc.tuple(pick, fc.integer({ min: 1, max: 2 })).map(([at, epoch]) => beginStep(at, epoch)),
  pick.map(touchStep),
  fc.tuple(pick, fc.boolean()).map(([at, telling]) => endLeaseStep(at, telling)),
  pick.map(endPlaceStep),
  fc.constant(pressStep()),
];

async function runAll(shim: Shim, path: string, commands: Iterable<Step>): Promise<void> {
  const seen: string[] = [];
  const relay = shim.createRelay({ lanes: 1, maxHoldSeconds: 60, maxBrokenOff: 1 }, (events) => {
    for (let at = 0; at < events.length; at += 5) {
      assert.deepEqual(events.slice(at + 3, at + 5), [0, 0], 'no error, no bytes');
      seen.push(`${events[at]} ${events[at + 1]}`);
    }
  });
  try {
    const { id: generation } = shim.open(relay, 0, path, 'generation', Number.MAX_SAFE_INTEGER) as Generation;
    const opened = shim.open(relay, 0, path, 'generation', lessSize) as Generation;
    assert.equal(opened.size, lessSize);
    const model = new Model();
    const real: Real = { shim, relay, generation, less: opened.id, seen };
    await fc.asyncModelRun(() => ({ model, real }), commands);
    await giveBack(model, real);
  } finally {
    shim.closeRelay(relay);
  }
}

test('leases, places and holds do what a model of their queue does', async (t) => {
  const shim = shimOrFail();
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'region', size);
  const before = countOpen();
  const property = fc.asyncProperty(fc.commands(steps, { maxCommands: 100, size: 'max' }), (commands) =>
    runAll(shim, path, commands),
  );
  await fc.assert(property, { numRuns: amount(120, 1000), endOnFailure: false });
  await untilClosed(before); // Closing a relay closes all of its generations.
});
