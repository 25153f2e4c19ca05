import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TreeLock } from '../../src/region/tree-lock.ts';
import { NativeRelay } from '../../src/relay/native-relay.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

function openLock(t: TestContext, folder: string) {
  const relay = openRelay({ lanes: 1, maxHold: 10 });
  assert.ok(relay instanceof NativeRelay);
  const lock = new TreeLock(relay, relay.openTree(folder));
  t.after(async () => {
    lock.close();
    await relay.close();
  });
  return { relay, lock };
}

test('any number of services hold pages of a tree, and then none changes bytes', (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const [one, other] = [openLock(t, folder).lock, openLock(t, folder).lock];
  assert.ok(one.share() && other.share());
  assert.equal(one.exclude(), false);
  assert.equal(other.exclude(), false, 'the one that was refused still holds its pages');
});

test('a service that changes bytes keeps others from taking pages, and itself not', (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const [one, other] = [openLock(t, folder).lock, openLock(t, folder).lock];
  assert.ok(one.share());
  assert.ok(one.exclude() && one.exclude(), 'its own pages are its own affair');
  assert.ok(one.share());
  assert.equal(other.share(), false);
  one.readmit();
  assert.equal(other.share(), false, 'one change is still going on');
  one.readmit();
  assert.ok(other.share());
  assert.equal(one.exclude(), false);
});

test('a service lets go when it holds nothing any more', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const [one, other] = [openLock(t, folder).lock, openLock(t, folder).lock];
  assert.ok(one.share());
  await until(() => other.exclude(), 'the other one can change bytes');
  other.readmit();
});

test('a service whose lanes were asked for nothing lets go too, and its lanes answer when they are asked again', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'a.bin', 100_000);
  const tokens = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(tokens, 'secret\n');
  const { service, port } = await startService(t, { dir, readTokenFile: tokens });
  const other = openLock(t, dir).lock;
  const client = await RawClient.connect(t, port);
  const counters = () => service.relay.counters();
  for (let turn = 1; turn <= 2; turn++) {
    for (let at = 0; at < 5; at++) {
      client.get('/regions/a.bin', '0-9', 'Authorization: Bearer secret\r\n');
      assert.equal((await client.response()).status, 206);
    }
    await until(() => counters().answers.ranged === 4 * turn, 'lanes answer all but the first', counters);
    await until(() => other.exclude(), 'another service may change bytes');
    assert.equal(counters().published, 1);
    other.readmit();
  }
});

test('only a service that is alone recovers', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const [one, other] = [openLock(t, folder).lock, openLock(t, folder).lock];
  let recovered = 0;
  const recover = async () => void recovered++;
  assert.ok(await one.whileAlone(recover));
  await one.join(new AbortController().signal);
  assert.equal(await other.whileAlone(recover), false);
  assert.equal(recovered, 1);
});

test('a tree that has no room for a lock is served all the same', (t) => {
  const folder = makeFolder(t, 'tmpfs');
  writeFileSync(join(folder, '.pagerelay'), 'a file of somebody else’s');
  assert.ok(openLock(t, folder).lock.share());
  mkdirSync(join(folder, 'other'));
});
