import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyFree, engineFor, engineTowards } from '../../src/relay/engine.ts';
import type { Backing, Engine } from '../../src/relay/relay.ts';

const chosen: [Backing, Engine][] = [
  ['pagecache', 'sendfile'],
  ['tmpfs', 'sendfile'],
  ['memfd', 'sendfile'],
  ['hugetlb', 'splice'],
  ['fsdax', 'splice'],
  ['devdax', 'splice'],
];

for (const [backing, engine] of chosen) {
  test(`auto sends ${backing} by ${engine}`, () => assert.equal(engineFor('auto', backing), engine));
}

test('sendfile falls back to a copy where the kernel refuses it', () => {
  assert.equal(engineFor('sendfile', 'hugetlb'), 'copy');
  assert.equal(engineFor('sendfile', 'devdax'), 'copy');
  assert.equal(engineFor('sendfile', 'fsdax'), 'sendfile');
});

test('a peer that cannot be asked gets a copy, whatever was wanted', () => {
  assert.equal(engineTowards('sendfile', 'unaskable'), 'copy');
  assert.equal(engineTowards('splice', 'unaskable'), 'copy');
  assert.equal(engineTowards('sendfile', 'local'), 'sendfile');
  assert.equal(engineTowards('splice', 'remote'), 'splice');
});

test('nothing is called copy-free before it was seen', () => {
  assert.equal(copyFree('sendfile', 'tmpfs'), null);
  assert.equal(copyFree('sendfile', 'fsdax'), false);
  assert.equal(copyFree('copy', 'tmpfs'), false);
  assert.equal(copyFree('stream', 'memfd'), false);
});
