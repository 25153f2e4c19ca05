import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ending, mayBe, RegionModel } from './region-model.ts';
import { seededBytes } from './regions.ts';
import { pageSize } from './self-describing.ts';

const size = 3 * pageSize + 100;
const old = seededBytes(size, 1);
const next = Buffer.concat([old.subarray(0, 50), seededBytes(size - 100, 2), old.subarray(size - 50)]);

/** A region that was created with `"a"`. */
function created(): RegionModel {
  const model = new RegionModel('region');
  model.begin({ kind: 'whole', next: old });
  assert.deepEqual(model.acknowledge('"a"'), []);
  return model;
}

const wrongAfter = (model: RegionModel, content: Buffer | undefined, etag: string | undefined, ending: Ending) =>
  model.find({ content, etag }, ending).length;

test('an acknowledged change is not lost', () => {
  assert.ok(mayBe(old, old));
  for (const found of [undefined, next, old.subarray(1)]) assert.ok(!mayBe(found, old));
  assert.ok(mayBe(undefined, undefined));
  assert.ok(!mayBe(old, undefined));
});

test('a whole change is complete or was never begun', () => {
  const pending = { kind: 'whole', next } as const;
  assert.ok(mayBe(old, old, pending) && mayBe(next, old, pending) && mayBe(undefined, undefined, pending));
  const half = Buffer.concat([next.subarray(0, pageSize), old.subarray(pageSize)]);
  for (const found of [undefined, half, next.subarray(0, pageSize)]) assert.ok(!mayBe(found, old, pending));
  assert.ok(mayBe(undefined, old, { kind: 'whole', next: undefined }));
});

test('an overwriting change is complete or was never begun', () => {
  const pending = { kind: 'overwritten', next } as const;
  const mixed = (at: number) => Buffer.concat([next.subarray(0, at), old.subarray(at)]);
  for (const at of [0, size]) assert.ok(mayBe(mixed(at), old, pending), `${at}`);
  for (const at of [100, pageSize, 2 * pageSize, size - 70]) assert.ok(!mayBe(mixed(at), old, pending), `${at}`);
  for (const found of [next.subarray(0, size - 1), undefined]) assert.ok(!mayBe(found, old, pending));
});

test('an entity-tag never stands for other bytes', () => {
  const model = created();
  model.begin({ kind: 'whole', next });
  assert.equal(model.acknowledge('"a"').length, 1);
  const overwritten = created();
  overwritten.begin({ kind: 'overwritten', next });
  assert.equal(wrongAfter(overwritten, next, '"a"', 'killed'), 1, 'the validator has not moved');
  assert.equal(wrongAfter(overwritten, next, '"a.1.1"', 'killed'), 1, 'and later it has, with nothing changed');
});

test('a restart alone changes no entity-tag', () => {
  assert.equal(wrongAfter(created(), old, '"a"', 'killed'), 0);
  assert.equal(wrongAfter(created(), old, '"b"', 'killed'), 1);
  assert.equal(wrongAfter(created(), old, '"b"', 'stopped'), 1);
});

test('after a change in place a kill may change the entity-tag, a stop may not', () => {
  for (const [ending, wrong] of [
    ['killed', 0],
    ['stopped', 1],
  ] as const) {
    const model = created();
    model.begin({ kind: 'overwritten', next });
    assert.deepEqual(model.acknowledge('"a.1.1"'), []);
    assert.equal(wrongAfter(model, next, '"a.2.0"', ending), wrong);
    assert.equal(wrongAfter(model, next, '"a.2.0"', 'killed'), 0);
    assert.equal(wrongAfter(model, next, '"a.3.0"', 'killed'), 1, 'nothing was changed in that run');
  }
});

test('what was found is known from then on', () => {
  const model = created();
  model.begin({ kind: 'whole', next: undefined });
  assert.equal(wrongAfter(model, old, '"a"', 'killed'), 0);
  assert.equal(wrongAfter(model, undefined, undefined, 'killed'), 1);
  model.begin({ kind: 'whole', next });
  assert.equal(wrongAfter(model, next, '"b"', 'killed'), 0);
  assert.equal(wrongAfter(model, old, '"a"', 'killed'), 1);
});

test('an existing region has an entity-tag', () => {
  assert.equal(wrongAfter(created(), old, undefined, 'killed'), 2);
});

test('what is read before a start is over may have another tag afterwards, and no other bytes', () => {
  const model = created();
  model.begin({ kind: 'overwritten', next });
  assert.deepEqual(model.glimpse({ content: next, etag: '"a.1.x"' }), []);
  assert.equal(wrongAfter(model, next, '"a.2.0"', 'killed'), 0);
  assert.equal(model.glimpse({ content: undefined, etag: undefined }).length, 1, 'it was lost');
  assert.equal(model.glimpse({ content: old, etag: '"a.2.0"' }).length, 1, 'other bytes');
  model.begin({ kind: 'whole', next: old });
  assert.deepEqual(model.acknowledge('"b"'), []);
  model.begin({ kind: 'whole', next });
  assert.equal(model.glimpse({ content: next, etag: '"b"' }).length, 1, 'a tag that stood for other bytes');
});
