/** Telling lanes of regions before anybody asks for them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Filling } from '../../../src/http/read/fill.ts';
import type { Unopened } from '../../../src/region/region.ts';
import { SystemError } from '../../../src/relay/relay.ts';

/** Seconds since 1970 at which all of these tests are. */
const now = 1_800_000_000;

function region(name: string, changedSeconds = now - 60, changedNanoseconds = 1): Unopened {
  return { name, file: { changedSeconds, changedNanoseconds } } as unknown as Unopened;
}

/** A filling of these regions, some at a time, and the names that lanes were told of. */
function fill(t: TestContext, regions: readonly (readonly Unopened[])[], room = 100) {
  t.mock.timers.enable({ apis: ['Date'], now: now * 1000 });
  const told: string[] = [];
  let walks = 0;
  async function* unopened() {
    walks++;
    yield* regions;
  }
  const filling = new Filling(
    unopened,
    ({ name }) => {
      if (told.length >= room) return false;
      told.push(name);
      return true;
    },
    () => assert.fail(),
    0,
  );
  return { filling, told, walks: () => walks };
}

test('lanes are told of all regions once', async (t) => {
  const { filling, told, walks } = fill(t, [[region('a'), region('b')], [], [region('c')]]);
  await filling.start();
  assert.deepEqual([told, walks()], [['a', 'b', 'c'], 1]);
  await filling.start();
  assert.deepEqual([told, walks()], [['a', 'b', 'c', 'a', 'b', 'c'], 2]);
});

test('no more are looked at than lanes take', async (t) => {
  const { filling, told, walks } = fill(t, [[region('a'), region('b')], [region('c')]], 1);
  await filling.start();
  assert.deepEqual([told, walks()], [['a'], 1]);
});

const fresh: Readonly<Record<string, Unopened>> = {
  'a tenth of a second ago': region('a', now - 1, 950_000_000),
  'in this second, on a file system that counts seconds': region('a', now, 0),
  'two seconds ago, on one that counts two': region('a', now - 2, 0),
  'in what is yet to come': region('a', now + 60),
};

for (const [when, each] of Object.entries(fresh)) {
  test(`a file that was changed ${when} is left for later`, async (t) => {
    const { filling, told, walks } = fill(t, [[each, region('b')]]);
    const filled = filling.start();
    while (told.length === 0) await Promise.resolve();
    assert.deepEqual([told, walks()], [['b'], 1]);
    t.mock.timers.tick(4000);
    await filled;
    const later = when.includes('yet to come') ? [] : ['a'];
    assert.deepEqual([told, walks()], [['b', ...later, 'b'], 2]);
  });
}

test('a walk that is stopped tells of nothing more, and none follows', async (t) => {
  const { filling, told, walks } = fill(t, [[region('a')], [region('b')]]);
  const filled = filling.start();
  filling.stop();
  await filled;
  assert.deepEqual([told, walks()], [[], 1]);
});

test('a walk that is started again ends the one before', async (t) => {
  const { filling, told } = fill(t, [[region('a')], [region('b')]]);
  await Promise.all([filling.start(), filling.start()]);
  assert.deepEqual(told, ['a', 'b']);
});

/** Regions that can't be looked at. */
function failing(error: Error): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}

test('what can not be looked at ends it; whoever asks is told why', async () => {
  await new Filling(
    () => failing(new SystemError('EMFILE', 'a')),
    () => assert.fail(),
    () => assert.fail(),
  ).start();
});

test('any other fault ends it and is told of, and nobody has to catch it', async () => {
  const faults: unknown[] = [];
  const fault = new TypeError('a');
  const tell = (error: unknown) => faults.push(error);
  await new Filling(
    () => failing(fault),
    () => assert.fail(),
    tell,
  ).start();
  async function* unopened() {
    yield [region('a', 0)];
  }
  const publish = () => {
    throw fault;
  };
  await new Filling(unopened, publish, tell).start();
  assert.deepEqual(faults, [fault, fault]);
});
