/** Which means of overwriting are chosen for a backing, by what a witness says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meansOn } from '../../src/relay/means.ts';
import type { Backing } from '../../src/relay/relay.ts';
import type { Shim } from '../../src/relay/shim.ts';

/** A witness that says so of everything, and what it was asked. */
function saying(result: number) {
  const asked: unknown[][] = [];
  const witness = (...question: unknown[]) => {
    asked.push(question);
    return result;
  };
  return { asked, witness: witness as Shim['witness'] };
}

test('means are used on the backing that they are for, where a witness has seen them work', () => {
  const witness = saying(1);
  assert.equal(meansOn(witness, 'tmpfs', '/a/scratch').means, 'punch');
  const { means, because } = meansOn(witness, 'pagecache', '/b/scratch');
  assert.deepEqual([means, because], ['direct', 'it was seen to leave pages of pagecache in flight as they are']);
  assert.deepEqual(witness.asked, [
    ['punch', 'folder', '/a/scratch'],
    ['direct', 'folder', '/b/scratch'],
  ]);
});

test('where it has seen pages in flight change, or could not try, an overwrite waits', () => {
  const changed = meansOn(saying(0), 'pagecache', '/scratch');
  assert.deepEqual([changed.means, changed.because], ['wait', 'direct is not used: it would change pages in flight']);
  const failed = meansOn(saying(-13), 'tmpfs', '/scratch');
  assert.deepEqual([failed.means, failed.because], ['wait', 'punch is not used: it could not be tried: EACCES']);
});

test('on other backings nothing is tried', () => {
  const witness = saying(1);
  for (const backing of ['fsdax', 'devdax', 'hugetlb', 'memfd'] satisfies Backing[]) {
    assert.equal(meansOn(witness, backing, '/scratch').means, 'wait', backing);
  }
  assert.deepEqual(witness.asked, []);
});
