import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../../src/region/change/turns.ts';

test('work under one name happens one after the other, in the order of asking', async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const work = gates.map(({ promise }, at) =>
    turns.take('a', async () => {
      seen.push(`begin ${at}`);
      await promise;
      seen.push(`end ${at}`);
    }),
  );
  gates[1]?.resolve();
  await turns.take('b', async () => seen.push('other name'));
  gates[0]?.resolve();
  await Promise.all(work);
  assert.deepEqual(seen, ['begin 0', 'other name', 'end 0', 'begin 1', 'end 1']);
});

test('work that fails ends its own turn, and no other', async () => {
  const turns = new Turns();
  const failed = turns.take('a', async () => {
    throw new Error('no');
  });
  const next = turns.take('a', async () => 'yes');
  await assert.rejects(failed, /no/);
  assert.equal(await next, 'yes');
});
