import assert from 'node:assert/strict';
import { closeSync, openSync, renameSync, rmSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Catalog } from '../../src/region/catalog.ts';
import { KeptVersions } from '../../src/region/kept-versions.ts';
import type { Region } from '../../src/region/region.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';
import { type Relay, SystemError } from '../../src/relay/relay.ts';
import { makeFolder } from '../support/regions.ts';

const relays = {
  native: () => openRelay({ lanes: 1, maxHold: 10 }),
  portable: () => new PortableRelay('a test'),
};

type Scene = { readonly dir: string; readonly relay: Relay; readonly kept: KeptVersions; readonly catalog: Catalog };

function open(t: TestContext, openOne: () => Relay, bytes = 1000): Scene {
  const dir = makeFolder(t, 'tmpfs');
  const relay = openOne();
  t.after(() => relay.close());
  const kept = new KeptVersions(relay, { seconds: 60, bytes });
  const catalog = new Catalog(relay, { tree: relay.openTree(dir), files: [], states: undefined, kept });
  t.after(() => catalog.close());
  return { dir, relay, kept, catalog };
}

/** Gives a name another file, and has the catalog see it. */
function replace({ dir, catalog }: Scene, name: string, content: string): Region {
  writeFileSync(join(dir, '.next'), content);
  renameSync(join(dir, '.next'), join(dir, name));
  return catalog.find(name);
}

async function contentOf(relay: Relay, region: Region | undefined): Promise<string> {
  const { content } = region ?? assert.fail('a region');
  const hold = relay.hold(content, 'stream', [{ offset: 0, length: content.generation.size }]);
  assert.ok(typeof hold === 'number', String(hold));
  const bytes = Buffer.alloc(content.generation.size);
  assert.equal(await relay.read(content.generation, bytes, 0), bytes.length);
  relay.release(hold, 'complete');
  return bytes.toString();
}

for (const [kind, openOne] of Object.entries(relays)) {
  test(`${kind}: each version that was replaced is found by its entity-tag, as it was`, async (t) => {
    const scene = open(t, openOne);
    const { relay, kept } = scene;
    const versions = ['one', 'two', 'three'].map((content) => ({ content, region: replace(scene, 'a', content) }));
    for (const { content, region } of versions.slice(0, 2)) {
      const found = kept.find('a', region.etag);
      assert.equal(await contentOf(relay, found), content);
      assert.deepEqual({ ...found, content: undefined }, { ...region, content: undefined });
      assert.equal(kept.find('b', region.etag), undefined, 'of this name only');
    }
    assert.equal(kept.find('a', versions[2]?.region.etag ?? ''), undefined, 'the current one is none of them');
    assert.deepEqual([kept.count, kept.bytes], [2, 6]);
  });

  test(`${kind}: nothing is kept of a file that was overwritten before it was replaced`, (t) => {
    const scene = open(t, openOne);
    const { etag } = replace(scene, 'a', 'one');
    writeFileSync(join(scene.dir, 'a'), 'new');
    utimesSync(join(scene.dir, 'a'), 1, 1); // Its time may be the same for a tick.
    replace(scene, 'a', 'two');
    assert.equal(scene.kept.find('a', etag), undefined);
    assert.equal(scene.kept.count, 0);
  });

  test(`${kind}: nor of one that is overwritten, and not replaced`, (t) => {
    const scene = open(t, openOne);
    const { etag } = replace(scene, 'a', 'one');
    writeFileSync(join(scene.dir, 'a'), 'more');
    assert.notEqual(scene.catalog.find('a').etag, etag);
    assert.equal(scene.kept.count, 0);
  });

  test(`${kind}: a version is let go when somebody writes to its file, which has no name any more`, (t) => {
    const scene = open(t, openOne);
    const { etag } = replace(scene, 'a', 'one');
    const fd = openSync(join(scene.dir, 'a'), 'r+');
    t.after(() => closeSync(fd));
    replace(scene, 'a', 'two');
    const found = scene.kept.find('a', etag) ?? assert.fail('it is kept');
    // So long that a time would have moved, wherever the clock of files ticks.
    const before = scene.relay.isUnchanged(found.content.generation);
    while (scene.relay.isUnchanged(found.content.generation)) writeSync(fd, 'new', 0);
    assert.equal(before, true);
    assert.equal(scene.kept.find('a', etag), undefined);
    assert.equal(scene.kept.count, 0);
    assert.equal(scene.relay.hold(found.content, 'copy', [{ offset: 0, length: 1 }]), 'stale');
  });

  test(`${kind}: a version is let go when its time is over`, (t) => {
    const scene = open(t, openOne);
    const { etag } = replace(scene, 'a', 'one');
    const began = Math.floor(performance.now()); // Sums of whole numbers are exact.
    let ahead = 0;
    scene.kept.clock = { now: () => began + ahead };
    replace(scene, 'a', 'two');
    ahead = 60_000;
    assert.ok(scene.kept.find('a', etag));
    ahead = 60_001;
    assert.equal(scene.kept.find('a', etag), undefined);
    assert.deepEqual([scene.kept.count, scene.kept.bytes], [0, 0]);
  });

  test(`${kind}: nobody has to ask for a version for its time to be over`, (t) => {
    const scene = open(t, openOne);
    replace(scene, 'a', 'one');
    let now = 1;
    scene.kept.clock = { now: () => now };
    t.mock.timers.enable({ apis: ['setTimeout'] });
    replace(scene, 'a', 'two');
    now += 60_001;
    t.mock.timers.tick(60_001);
    assert.equal(scene.kept.count, 0);
  });

  test(`${kind}: the versions have no more bytes than they may, and the one goes that nobody asks for`, (t) => {
    const scene = open(t, openOne, 10);
    const [one, two, three] = ['1111', '2222', '3333'].map((content) => replace(scene, 'a', content).etag);
    assert.deepEqual([scene.kept.count, scene.kept.bytes], [2, 8]);
    assert.ok(scene.kept.find('a', one ?? ''));
    replace(scene, 'a', '44444444444');
    assert.deepEqual(
      [one, two, three].map((etag) => scene.kept.find('a', etag ?? '') !== undefined),
      [true, false, true],
    );
    replace(scene, 'a', '5');
    assert.equal(scene.kept.bytes, 8, 'one that is too large drives no other out');
  });

  test(`${kind}: with the name all its versions go, and none comes back with a new file of that name`, (t) => {
    const scene = open(t, openOne);
    const [one, two] = ['one', 'two'].map((content) => replace(scene, 'a', content).etag);
    const other = replace(scene, 'b', 'other').etag;
    replace(scene, 'b', 'others');
    rmSync(join(scene.dir, 'a'));
    assert.equal(scene.catalog.findAny('a'), undefined);
    replace(scene, 'a', 'three');
    assert.deepEqual([scene.kept.find('a', one ?? ''), scene.kept.find('a', two ?? '')], [undefined, undefined]);
    assert.ok(scene.kept.find('b', other));
  });

  test(`${kind}: a file that has another name goes on being of both`, (t) => {
    const scene = open(t, openOne);
    const { etag } = replace(scene, 'a', 'one');
    renameSync(join(scene.dir, 'a'), join(scene.dir, 'moved'));
    replace(scene, 'a', 'two');
    assert.ok(scene.kept.find('a', etag));
    assert.equal(scene.catalog.find('moved').content.generation.size, 3);
  });

  test(`${kind}: versions make room where no further file can be opened`, (t) => {
    const scene = open(t, openOne);
    const { catalog, kept, relay } = scene;
    const { etag } = replace(scene, 'a', 'one');
    replace(scene, 'a', 'two');
    writeFileSync(join(scene.dir, 'b'), 'b');
    const opening = t.mock.method(relay, 'openGeneration', relay.openGeneration);
    opening.mock.mockImplementationOnce(() => {
      throw new SystemError('EMFILE', 'b');
    });
    assert.equal(catalog.find('b').content.generation.size, 1);
    assert.equal(kept.find('a', etag), undefined);
    assert.ok(catalog.recall('a'), 'what is current stays open');
  });

  test(`${kind}: keeping a version does not fail where its file can't be judged, and leaves nothing open`, (t) => {
    const { dir, relay, kept } = open(t, openOne);
    writeFileSync(join(dir, 'a'), 'one');
    const catalog = new Catalog(relay, { tree: relay.openTree(dir), files: [], states: undefined });
    t.after(() => catalog.close());
    const region = catalog.find('a');
    const closing = t.mock.method(relay, 'closeGeneration', relay.closeGeneration);
    const opening = t.mock.method(relay, 'openAgain', relay.openAgain);
    const judging = t.mock.method(relay, 'judge', relay.judge);
    judging.mock.mockImplementationOnce(() => {
      throw new SystemError('EBADF', 'judge');
    });
    assert.equal(kept.take(region, region.content.generation), undefined);
    const opened = opening.mock.calls.map(({ result }) => result);
    assert.equal(opened.length, 1);
    assert.deepEqual(
      closing.mock.calls.map(({ arguments: [generation] }) => generation),
      opened,
    );
    assert.equal(kept.count, 0);
    assert.ok(kept.take(region, region.content.generation), 'it could have been kept');
  });

  test(`${kind}: whoever waits for the end of a file's versions hears of it`, async (t) => {
    const scene = open(t, openOne);
    const { content } = replace(scene, 'a', 'one');
    replace(scene, 'a', 'two');
    let isOver = false;
    const end = scene.kept.endOf(content.generation).then(() => {
      isOver = true;
    });
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    scene.kept.clear();
    await end;
    await scene.kept.endOf(content.generation);
  });

  test(`${kind}: nothing stays open of versions that are let go, and none is kept after the end`, (t) => {
    const scene = open(t, openOne);
    const files = () => scene.relay.counters().openFiles;
    replace(scene, 'a', 'one');
    const before = files();
    for (const content of ['two', 'three', 'four']) replace(scene, 'a', content);
    if (kind === 'native') assert.equal(files(), before + 3);
    scene.kept.close();
    replace(scene, 'a', 'five');
    assert.equal(files(), before);
    assert.equal(scene.kept.count, 0);
  });
}
