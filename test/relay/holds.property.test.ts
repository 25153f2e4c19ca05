/** The hold table, against a model of it that counts single bytes. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Engine,
  engines,
  type Generation,
  type Outcome,
  outcomes,
  type Reference,
} from '../../src/relay/relay.ts';
import type { Shim, ShimRelay } from '../../src/relay/shim.ts';
import { amount } from '../support/amount.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { shimOrFail } from '../support/shim.ts';

const { EBADF, ERANGE, ESTALE } = constants.errno;
const page = 4096;
const sizes = [0, 1, 4095, 4096, 5000, 3 * 4096, 50_001];

type Extent = readonly [offset: number, length: number];
type ModelGeneration = { readonly size: number; closed: boolean };
type ModelHold = {
  readonly generation: number;
  readonly engine: Engine;
  readonly extents: readonly Extent[];
  sent: number;
};

class Model {
  readonly generations = new Map<number, ModelGeneration>();
  readonly holds = new Map<number, ModelHold>();
  /** Ids that no longer name anything. */
  readonly gone: number[] = [];
  readonly transmissions = new Map<string, number>();
  readonly sentBytes = new Map<Engine, number>();
  dropped = 0;

  pickGeneration(pick: number): number {
    return pickFrom([...this.generations.keys(), ...this.gone, ...this.holds.keys()], pick);
  }

  pickHold(pick: number): number {
    return pickFrom([...this.holds.keys(), ...this.gone, ...this.generations.keys()], pick);
  }

  isHeld(generation: number): boolean {
    return [...this.holds.values()].some((hold) => hold.generation === generation);
  }

  settle(id: number): void {
    if (!this.generations.get(id)?.closed || this.isHeld(id)) return;
    this.generations.delete(id);
    this.gone.push(id);
  }
}

type Real = { readonly shim: Shim; readonly relay: ShimRelay; readonly paths: readonly string[] };

function pickFrom(ids: readonly number[], pick: number): number {
  return ids[pick % (ids.length + 1)] ?? 4_194_304 + pick;
}

function totalOf({ extents }: ModelHold): number {
  return extents.reduce((sum, [, length]) => sum + length, 0);
}

/** Where in the generation the `at`-th byte of the body is. */
function offsetOf(extents: readonly Extent[], at: number): number {
  let left = at;
  for (const [offset, length] of extents) {
    if (left < length) return offset + left;
    left -= length;
  }
  return -1;
}

/** The largest part of the sent bytes that ends where a page or an extent does. */
function releasedOf(hold: ModelHold): number {
  const ends = new Set([0]);
  let end = 0;
  for (const [, length] of hold.extents) {
    end += length;
    ends.add(end);
  }
  let released = hold.sent;
  while (!ends.has(released) && offsetOf(hold.extents, released) % page !== 0) released--;
  return released;
}

function referenceOf(id: number, hold: ModelHold) {
  const held: number[] = [];
  let before = 0;
  const released = releasedOf(hold);
  for (const [offset, length] of hold.extents) {
    const from = Math.max(0, released - before);
    if (from < length) held.push(offset + from, offset + length - 1);
    before += length;
  }
  return {
    id,
    generation: hold.generation,
    first: held.length > 0 ? Math.min(...held) : 0,
    last: held.length > 0 ? Math.max(...held) : 0,
    bytes: totalOf(hold) - released,
    state: 'unsent',
    engine: hold.engine,
    peer: '',
    peerKind: 'unaskable',
  };
}

// Small pages, so that there are several.
function pagesOf(read: (after: number) => ReturnType<Shim['references']>): Reference[] {
  const all: Reference[] = [];
  for (let after = 0; ; ) {
    const page = read(after);
    assert.ok(typeof page === 'object');
    all.push(...page.items);
    after = page.next;
    if (after === 0) return all;
  }
}

function checkAll(model: Model, { shim, relay }: Real): void {
  const seen = (generation: number) =>
    pagesOf((after) => shim.references(relay, generation, after, 3)).map(
      ({ ageSeconds: _, ...reference }) => reference,
    );
  const expected = [...model.holds].map(([id, hold]) => referenceOf(id, hold)).sort((one, other) => one.id - other.id);
  assert.deepEqual(seen(0), expected);
  for (const id of model.generations.keys()) {
    assert.deepEqual(
      seen(id),
      expected.filter(({ generation }) => generation === id),
    );
    assert.ok(shim.act(relay, 'generationDescriptor', id) >= 0);
  }
  for (const id of model.gone) assert.equal(shim.act(relay, 'generationDescriptor', id), -EBADF);
  checkCounters(model, { shim, relay, paths: [] }, expected);
}

function checkCounters(model: Model, { shim, relay }: Real, expected: readonly { readonly bytes: number }[]): void {
  const counters = shim.counters(relay);
  assert.equal(counters.references, model.holds.size);
  assert.equal(
    counters.heldBytes,
    expected.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  assert.equal(
    counters.holdSeconds.buckets.reduce((sum, [, count]) => sum + count, 0),
    model.dropped,
  );
  for (const engine of engines) {
    assert.equal(counters.sentBytes[engine], model.sentBytes.get(engine) ?? 0);
    for (const outcome of outcomes) {
      assert.equal(counters.transmissions[engine][outcome], model.transmissions.get(`${engine} ${outcome}`) ?? 0);
    }
  }
}

type Step = fc.Command<Model, Real>;

function step(text: string, run: (model: Model, real: Real) => void): Step {
  return {
    check: () => true,
    run: (model, real) => {
      run(model, real);
      checkAll(model, real);
    },
    toString: () => text,
  };
}

function openStep(file: number): Step {
  return step(`open(${sizes[file]})`, (model, { shim, relay, paths }) => {
    const opened = shim.open(relay, 0, paths[file] ?? '', 'generation', Number.MAX_SAFE_INTEGER) as Generation;
    assert.equal(opened.size, sizes[file]);
    assert.ok(!model.generations.has(opened.id) && !model.gone.includes(opened.id), 'ids are never used again');
    model.generations.set(opened.id, { size: opened.size, closed: false });
  });
}

function closeStep(pick: number): Step {
  return step(`close(${pick})`, (model, { shim, relay }) => {
    const id = model.pickGeneration(pick);
    const generation = model.generations.get(id);
    const open = generation !== undefined && !generation.closed;
    assert.equal(shim.act(relay, 'closeGeneration', id), open ? 0 : -EBADF);
    if (open) generation.closed = true;
    model.settle(id);
  });
}

type Asked = { pick: number; epoch: number; version: number; engine: Engine; extents: Extent[] };

function expectedOfHold(generation: ModelGeneration | undefined, { epoch, version, extents }: Asked): number {
  if (!generation) return -EBADF;
  if (generation.closed || epoch !== 0 || version !== 0) return -ESTALE;
  const inside = ([offset, length]: Extent) => length > 0 && offset + length <= generation.size;
  return extents.length > 0 && extents.every(inside) ? 0 : -ERANGE;
}

function holdStep(asked: Asked): Step {
  return step(`hold(${JSON.stringify(asked)})`, (model, { shim, relay }) => {
    const { pick, epoch, version, engine, extents } = asked;
    const generation = model.pickGeneration(pick);
    const expected = expectedOfHold(model.generations.get(generation), asked);
    const result = shim.hold(relay, generation, epoch, version, engine, 0, extents.flat());
    assert.equal(Math.min(result, 0), expected);
    if (expected === 0) model.holds.set(result, { generation, engine, extents, sent: 0 });
  });
}

function advanceStep(pick: number, bytes: number): Step {
  return step(`advance(${pick}, ${bytes})`, (model, { shim, relay }) => {
    const id = model.pickHold(pick);
    const hold = model.holds.get(id);
    const expected = !hold ? -EBADF : hold.sent + bytes > totalOf(hold) ? -ERANGE : 0;
    assert.equal(shim.act(relay, 'advance', id, bytes), expected);
    if (!hold || expected !== 0) return;
    hold.sent += bytes;
    model.sentBytes.set(hold.engine, (model.sentBytes.get(hold.engine) ?? 0) + bytes);
  });
}

function releaseStep(pick: number, outcome: Outcome): Step {
  return step(`release(${pick}, ${outcome})`, (model, { shim, relay }) => {
    const id = model.pickHold(pick);
    const hold = model.holds.get(id);
    assert.equal(shim.release(relay, id, outcome), hold ? 0 : -EBADF);
    if (!hold) return;
    const key = `${hold.engine} ${outcome}`;
    model.transmissions.set(key, (model.transmissions.get(key) ?? 0) + 1);
    model.dropped++;
    model.holds.delete(id);
    model.gone.push(id);
    model.settle(hold.generation);
  });
}

const pick = fc.nat(20);
const extent = fc.tuple(fc.nat(51_000), fc.oneof(fc.integer({ min: 1, max: 300 }), fc.nat(20_000)));
const small = fc.tuple(fc.nat(4000), fc.integer({ min: 1, max: 90 }));
const mostlyZero = fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) });
const asked: fc.Arbitrary<Asked> = fc.record({
  pick,
  epoch: mostlyZero,
  version: mostlyZero,
  engine: fc.constantFrom(...engines),
  extents: fc.oneof(fc.array(extent, { maxLength: 4 }), fc.array(small, { minLength: 1, maxLength: 64 })),
});

const steps = [
  fc.nat(sizes.length - 1).map(openStep),
  pick.map(closeStep),
  asked.map(holdStep),
  asked.map(holdStep),
  fc.tuple(pick, fc.oneof(fc.nat(200), fc.nat(9000))).map(([at, bytes]) => advanceStep(at, bytes)),
  fc.tuple(pick, fc.constantFrom(...outcomes)).map(([at, outcome]) => releaseStep(at, outcome)),
];

test('the hold table does what a model of it does', async (t) => {
  const shim = shimOrFail();
  const folder = makeFolder(t, 'tmpfs');
  const paths = sizes.map((size) => writeRegion(folder, `file-${size}`, size).path);
  const before = countOpen();
  const property = fc.property(fc.commands(steps, { maxCommands: 60, size: 'max' }), (commands) => {
    const relay = shim.createRelay({ lanes: 1, maxHoldSeconds: 60, maxBrokenOff: 1 }, () => {});
    try {
      fc.modelRun(() => ({ model: new Model(), real: { shim, relay, paths } }), commands);
    } finally {
      shim.closeRelay(relay);
    }
  });
  fc.assert(property, { numRuns: amount(150, 300), endOnFailure: false });
  await untilClosed(before); // Closing a relay closes all of its generations.
});
