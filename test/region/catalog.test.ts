import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Catalog, NameClash } from '../../src/region/catalog.ts';
import { FileTags } from '../../src/region/file-tags.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';
import { SystemError } from '../../src/relay/relay.ts';

const relays = {
  native: () => openRelay({ lanes: 1, maxHold: 10 }),
  portable: () => new PortableRelay('a test'),
};

function tree(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'pagerelay-test-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

for (const [kind, open] of Object.entries(relays)) {
  test(`${kind}: a file that was replaced is a new generation, with a new entity-tag`, (t) => {
    const dir = tree(t);
    const relay = open();
    t.after(() => relay.close());
    writeFileSync(join(dir, 'a'), 'one');
    const catalog = new Catalog(relay, { tree: relay.openTree(dir), files: [], states: undefined });
    t.after(() => catalog.close());
    const before = catalog.find('a');
    assert.equal(catalog.find('a'), before, 'unchanged: the same generation');
    writeFileSync(join(dir, 'b'), 'two');
    utimesSync(join(dir, 'b'), 1, 1);
    renameSync(join(dir, 'b'), join(dir, 'a'));
    const after = catalog.find('a');
    assert.notEqual(after.etag, before.etag);
    assert.notEqual(after.content.generation.id, before.content.generation.id);
    assert.equal(relay.hold(before.content, 'copy', [{ offset: 0, length: 1 }]), 'stale', 'the old one is closed');
  });

  test(`${kind}: copies of equal size and mtime have equal entity-tags where these are portable, and else never`, (t) => {
    const dir = tree(t);
    const relay = open();
    t.after(() => relay.close());
    for (const name of ['a', 'b']) {
      writeFileSync(join(dir, name), 'same');
      utimesSync(join(dir, name), 1_700_000_000.25, 1_700_000_000.25);
    }
    for (const portable of [true, false]) {
      const tags = new FileTags(portable);
      const catalog = new Catalog(relay, { tree: relay.openTree(dir), files: [], states: undefined, tags });
      t.after(() => catalog.close());
      assert.equal(catalog.find('a').etag === catalog.find('b').etag, portable);
    }
  });

  test(`${kind}: the list has what can be served, and nothing else`, async (t) => {
    const dir = tree(t);
    const relay = open();
    t.after(() => relay.close());
    mkdirSync(join(dir, 'folder'));
    for (const name of ['a.txt', 'folder/b.bin', '.hidden', 'a name']) writeFileSync(join(dir, name), name);
    mkdirSync(join(dir, '.pagerelay'));
    writeFileSync(join(dir, '.pagerelay', 'lock'), '');
    symlinkSync('/etc/passwd', join(dir, 'outside'));
    symlinkSync('a.txt', join(dir, 'inside'));
    const catalog = new Catalog(relay, {
      tree: relay.openTree(dir),
      files: [{ name: 'named', path: join(dir, '.hidden') }],
      states: undefined,
    });
    t.after(() => catalog.close());
    const names = (await catalog.list.page({ after: '', prefix: '', limit: 10 })).items.map(({ name }) => name);
    assert.deepEqual(names, ['.hidden', 'a name', 'a.txt', 'folder/b.bin', 'inside', 'named']);
  });

  test(`${kind}: one name from two sources is an error`, (t) => {
    const dir = tree(t);
    const relay = open();
    t.after(() => relay.close());
    writeFileSync(join(dir, 'a'), 'x');
    const files = [{ name: 'a', path: join(dir, 'a') }];
    assert.throws(() => new Catalog(relay, { tree: relay.openTree(dir), files, states: undefined }), NameClash);
  });

  test(`${kind}: a file that is not there fails by its errno`, (t) => {
    const relay = open();
    t.after(() => relay.close());
    const missing = (error: unknown) => error instanceof SystemError && error.code === 'ENOENT';
    assert.throws(
      () => new Catalog(relay, { tree: undefined, files: [{ name: 'a', path: '/nowhere/a' }], states: undefined }),
      missing,
    );
    assert.throws(() => relay.openTree('/nowhere'), missing);
    assert.throws(() => new Catalog(relay, { tree: undefined, files: [], states: undefined }).find('a'), missing);
  });
}
