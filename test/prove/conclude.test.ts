import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsOf, conclude, doneOf } from '../../src/prove/conclude.ts';
import type { BackingChoice } from '../../src/prove/result.ts';
import type { EngineChoice } from '../../src/relay/engine.ts';

const choice = (backing: BackingChoice['backing'], engine: BackingChoice['engine'], copyFree: boolean | null) => ({
  backing,
  where: `/${backing}`,
  engine,
  copyFree,
  because: 'a reason',
  overwrites: null,
});

const tmpfs = choice('tmpfs', 'sendfile', true);
const memfd = choice('memfd', 'sendfile', true);
const hugetlb = choice('hugetlb', 'splice', true);
const copied = choice('pagecache', 'copy', false);
const unseen = choice('devdax', 'splice', null);

const met = (configured: EngineChoice, ...backings: BackingChoice[]) =>
  claimsOf(configured, backings, []).map((claim) => claim.met);

test('one sentence tells what is sent by what, and what is copied', () => {
  const cases: [BackingChoice[], string][] = [
    [[tmpfs], 'sends tmpfs by sendfile without a copy.'],
    [[tmpfs, memfd, hugetlb], 'sends tmpfs and memfd by sendfile and hugetlb by splice without a copy.'],
    [[tmpfs, copied], 'sends tmpfs by sendfile without a copy; pagecache by copy, copying every byte.'],
    [[copied], 'sends pagecache by copy, copying every byte.'],
    [
      [hugetlb, unseen],
      'sends hugetlb by splice without a copy; devdax by splice, and nobody could see whether that copies.',
    ],
    [[tmpfs, { ...tmpfs, where: '/other' }], 'sends tmpfs by sendfile without a copy.'],
  ];
  for (const [backings, sentence] of cases) {
    assert.equal(conclude(backings), `On this machine pagerelay ${sentence}`);
  }
  assert.equal(conclude([]), 'There is nothing here that pagerelay could send.');
});

test('auto, sendfile and splice claim that what they send is not copied', () => {
  for (const configured of ['auto', 'sendfile', 'splice'] as const) {
    assert.deepEqual(met(configured, tmpfs, hugetlb), [true, true]);
    assert.deepEqual(met(configured, tmpfs, copied), [true, false]);
    assert.deepEqual(met(configured, unseen), [false], 'what nobody saw is not proven');
  }
});

test('engines that are known to copy, and one that only a network card can show, claim nothing', () => {
  for (const configured of ['copy', 'stream', 'zerocopy'] as const) assert.deepEqual(met(configured, copied), []);
});

test('a claim says of what it speaks and why it is met or not', () => {
  const [claim] = claimsOf('sendfile', [choice('fsdax', 'sendfile', false)], []);
  assert.deepEqual(claim, {
    claim: '--engine sendfile sends fsdax (/fsdax) without a copy',
    met: false,
    because: 'sendfile is used, for a reason; it copies',
  });
  assert.equal(
    claimsOf('auto', [{ ...memfd, where: 'memfd' }], [])[0]?.claim,
    '--engine auto sends memfd without a copy',
  );
});

test('what was named and could not be tried is a claim that is not met; what was not named is none', () => {
  const absent = (asked: boolean) => [{ backing: '/mnt/pmem', why: 'a reason', asked }];
  assert.deepEqual(claimsOf('copy', [], absent(true)), [
    { claim: '/mnt/pmem can be sent', met: false, because: 'a reason' },
  ]);
  assert.deepEqual(claimsOf('auto', [], absent(false)), []);
});

test('pages are done when the rule for the engine and what it was seen to do says so', () => {
  assert.equal(doneOf('sendfile', true), 'read by the peer');
  assert.equal(doneOf('splice', null), 'read by the peer');
  assert.equal(doneOf('sendfile', false), 'accepted');
  assert.equal(doneOf('copy', false), 'accepted');
  assert.equal(doneOf('zerocopy', false), 'notice');
  assert.equal(doneOf('zerocopy', true), 'notice');
});
