/** Direct writes to a file and leases on it exclude one another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirectWrites } from '../../../src/region/change/direct-writes.ts';

const never = () => assert.fail('nothing is written');

test('a lease waits for the direct writes to its file that are under way, failing ones too', async () => {
  const writes = new DirectWrites();
  const [one, two, other] = [0, 1, 2].map(() => Promise.withResolvers<string>());
  const writing = [writes.write(1, () => one?.promise ?? never()), writes.write(1, () => two?.promise ?? never())];
  const elsewhere = writes.write(2, () => other?.promise ?? never());
  const order: string[] = [];
  const excluded = writes.exclude(1).then(() => order.push('excluded'));
  one?.resolve('written');
  assert.equal(await writing[0], 'written');
  order.push('one');
  two?.reject(new Error('full'));
  await assert.rejects(writing[1] ?? never(), /full/);
  await excluded;
  assert.deepEqual(order, ['one', 'excluded']);
  other?.resolve('elsewhere');
  assert.equal(await elsewhere, 'elsewhere', 'other files are not concerned');
});

test('none is written while anybody has a lease', async () => {
  const writes = new DirectWrites();
  await writes.exclude(1);
  await writes.exclude(1);
  assert.equal(await writes.write(1, never), undefined);
  assert.equal(await writes.write(2, async () => 'other'), 'other');
  writes.readmit(1);
  assert.equal(writes.isAllowed(1), false, 'the other one still has its lease');
  writes.readmit(1);
  assert.equal(await writes.write(1, async () => 'written'), 'written');
});

test('none begins while a lease waits for those under way', async () => {
  const writes = new DirectWrites();
  const { promise, resolve } = Promise.withResolvers<string>();
  const writing = writes.write(1, () => promise);
  const excluded = writes.exclude(1);
  assert.equal(await writes.write(1, never), undefined);
  resolve('written');
  assert.equal(await writing, 'written');
  await excluded;
});
