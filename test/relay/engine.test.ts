import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineFor, engineTowards } from '../../src/relay/engine.ts';
import type { Backing, Engine } from '../../src/relay/relay.ts';
import { unseen } from '../../src/relay/witness.ts';

const expected: [Backing, Engine][] = [
  ['pagecache', 'sendfile'],
  ['tmpfs', 'sendfile'],
  ['memfd', 'sendfile'],
  ['hugetlb', 'splice'],
  ['fsdax', 'splice'],
  ['devdax', 'splice'],
];

for (const [backing, engine] of expected) {
  test(`auto sends ${backing} by ${engine} where no experiment could be run`, () => {
    assert.equal(engineFor('auto', backing, unseen).engine, engine);
  });
}

test('auto takes what was seen to send without a copy, sendfile first', () => {
  const choose = (sendfile: boolean | null, splice: boolean | null) =>
    engineFor('auto', 'tmpfs', { ...unseen, sendfile, splice }).engine;
  assert.equal(choose(true, true), 'sendfile');
  assert.equal(choose(false, true), 'splice');
  assert.equal(choose(null, true), 'splice');
  assert.equal(choose(false, false), 'copy');
  assert.equal(choose(false, null), 'copy');
});

test('what is large goes by splice where neither copies', () => {
  const both = { ...unseen, sendfile: true, splice: true };
  const sizes = (backing: Backing) => {
    const { engine, large, largeFrom } = engineFor('auto', backing, both);
    return { engine, large, largeFrom };
  };
  assert.deepEqual(sizes('tmpfs'), { engine: 'sendfile', large: 'splice', largeFrom: 131_072 });
  assert.deepEqual(sizes('memfd'), { engine: 'sendfile', large: 'splice', largeFrom: 131_072 });
  assert.deepEqual(sizes('pagecache'), { engine: 'sendfile', large: 'splice', largeFrom: 131_072 });
  assert.equal(engineFor('auto', 'tmpfs', { ...both, splice: false }).large, 'sendfile');
  assert.equal(engineFor('sendfile', 'tmpfs', both).large, 'sendfile');
});

test('a kernel that makes vmsplice a copy moves the choice by itself', () => {
  const fsdax = { ...unseen, sendfile: false, splice: true };
  assert.equal(engineFor('auto', 'fsdax', fsdax).engine, 'splice');
  const { engine, because } = engineFor('auto', 'fsdax', { ...fsdax, splice: false });
  assert.equal(engine, 'copy');
  assert.match(because, /every other engine was seen to copy from fsdax/);
});

test('sendfile gives way where the kernel refuses it', () => {
  const seen = { ...unseen, splice: true };
  assert.equal(engineFor('sendfile', 'hugetlb', seen).engine, 'splice');
  assert.equal(engineFor('sendfile', 'devdax', unseen).engine, 'splice');
  assert.equal(engineFor('sendfile', 'fsdax', seen).engine, 'sendfile');
});

test('where nobody can be asked who has read what, everybody gets a copy, and the reason is told', () => {
  const both = { ...unseen, sendfile: true, splice: true };
  for (const choice of ['auto', 'sendfile', 'splice'] as const) {
    const { engine, large, because } = engineFor(choice, 'tmpfs', both, { AF_NETLINK: 'EPERM' });
    assert.deepEqual([engine, large], ['copy', 'copy']);
    assert.match(because, /AF_NETLINK is refused \(EPERM\).*every peer gets a copy/);
  }
  assert.equal(engineFor('zerocopy', 'tmpfs', both, { AF_NETLINK: 'EPERM' }).engine, 'zerocopy');
});

test('without vmsplice what is mapped is copied, and nothing else', () => {
  const seen = { ...unseen, sendfile: true, splice: true };
  for (const backing of ['hugetlb', 'devdax', 'fsdax'] as const) {
    const { engine, because } = engineFor('splice', backing, seen, { vmsplice: 'ENOSYS' });
    assert.equal(engine, 'copy');
    assert.match(because, /vmsplice is refused \(ENOSYS\)/);
  }
  assert.equal(engineFor('auto', 'devdax', unseen, { vmsplice: 'EPERM' }).engine, 'copy');
  assert.equal(engineFor('auto', 'tmpfs', seen, { vmsplice: 'EPERM' }).large, 'splice');
});

test('a peer that cannot be asked gets a copy, unless notices tell', () => {
  assert.equal(engineTowards('sendfile', 'unaskable'), 'copy');
  assert.equal(engineTowards('splice', 'unaskable'), 'copy');
  assert.equal(engineTowards('zerocopy', 'unaskable'), 'zerocopy');
  assert.equal(engineTowards('stream', 'unaskable'), 'stream');
  assert.equal(engineTowards('sendfile', 'local'), 'sendfile');
  assert.equal(engineTowards('splice', 'remote'), 'splice');
});
