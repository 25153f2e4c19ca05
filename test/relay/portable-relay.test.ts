import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type GivenLimits, settleLimits } from '../../src/limits/limits.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';
import { SystemError } from '../../src/relay/relay.ts';

function fixture(t: TestContext, limits: GivenLimits = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'pagerelay-test-'));
  const relay = new PortableRelay('a test', settleLimits(limits));
  t.after(() => {
    relay.close();
    rmSync(dir, { recursive: true });
  });
  const root = join(dir, 'tree');
  mkdirSync(root);
  writeFileSync(join(root, 'file'), 'x'.repeat(10_000));
  return { dir, root, relay, tree: relay.openTree(root) };
}

const judged = (generation: ReturnType<PortableRelay['openGeneration']>) => ({ generation, epoch: 0, version: 0 });
const failsWith = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;

test('a path that leads out of the tree is refused, whatever leads there', (t) => {
  const { dir, root, relay, tree } = fixture(t);
  writeFileSync(join(dir, 'secret'), 'secret');
  symlinkSync('../secret', join(root, 'relative'));
  symlinkSync(join(dir, 'secret'), join(root, 'absolute'));
  symlinkSync('file', join(root, 'inside'));
  for (const path of ['relative', 'absolute', '../secret']) {
    assert.throws(() => relay.openGeneration(tree, path), failsWith('EXDEV'), path);
  }
  assert.equal(relay.openGeneration(tree, 'inside').size, 10_000);
});

test('names of one folder are looked at in one go: files as they are one by one, of anything else why not', (t) => {
  const { root, relay, tree } = fixture(t);
  mkdirSync(join(root, 'folder'));
  writeFileSync(join(root, 'folder/a'), 'x');
  symlinkSync('a', join(root, 'folder/link'));
  symlinkSync('..', join(root, 'out'));
  const { EINVAL, ELOOP, ENOENT } = constants.errno;
  const names = ['a', 'link', 'none'];
  assert.deepEqual(relay.identifySome(tree, 'folder', names), [relay.identify(tree, 'folder/a'), -ELOOP, -ENOENT]);
  assert.deepEqual(relay.identifySome(tree, '', ['folder', 'file']), [-EINVAL, relay.identify(tree, 'file')]);
  assert.throws(() => relay.identifySome(tree, 'out', names), failsWith('EXDEV'));
  assert.throws(() => relay.identifySome(tree, 'none', names), failsWith('ENOENT'));
});

test('what has no pages is no generation, and a FIFO is not waited for', (t) => {
  const { root, relay, tree } = fixture(t);
  execFileSync('mkfifo', [join(root, 'fifo')]);
  mkdirSync(join(root, 'folder'));
  for (const path of ['fifo', 'folder'])
    assert.throws(() => relay.openGeneration(tree, path), failsWith('EINVAL'), path);
  assert.throws(() => relay.openGeneration(tree, 'nothing'), failsWith('ENOENT'));
});

test('a closed generation gives no new references, and its descriptor goes with the last one', (t) => {
  const { relay, tree } = fixture(t);
  const before = readdirSync('/proc/self/fd').length;
  const generation = relay.openGeneration(tree, 'file');
  const held = relay.hold(judged(generation), 'stream', [{ offset: 0, length: 100 }]);
  assert.ok(typeof held === 'number');
  relay.closeGeneration(generation);
  assert.equal(relay.hold(judged(generation), 'stream', [{ offset: 0, length: 100 }]), 'stale');
  assert.equal(readdirSync('/proc/self/fd').length, before + 1);
  relay.release(held, 'cancelled');
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('a file that is not where it was opened gives no reference to who looks', (t) => {
  const { relay, tree, root } = fixture(t);
  const content = judged(relay.openGeneration(tree, 'file'));
  const hold = (inPlace?: boolean) => relay.hold(content, 'stream', [{ offset: 0, length: 1 }], undefined, inPlace);
  for (const inPlace of [true, false]) assert.equal(typeof hold(inPlace), 'number');
  writeFileSync(join(root, 'other'), 'x'.repeat(10_000));
  renameSync(join(root, 'other'), join(root, 'file'));
  assert.equal(hold(true), 'stale', 'it was replaced');
  rmSync(join(root, 'file'));
  assert.equal(hold(true), 'stale', 'it is gone');
  assert.equal(typeof hold(), 'number', 'nobody has looked');
});

test('content that is not what was judged gives no reference', (t) => {
  const { relay, tree } = fixture(t);
  const generation = relay.openGeneration(tree, 'file');
  assert.equal(relay.hold({ generation, epoch: 1, version: 0 }, 'stream', [{ offset: 0, length: 1 }]), 'stale');
});

test('no more bodies are on their way, and hold no more bytes, than may be', (t) => {
  for (const [limits, reason] of [
    [{ maxTransmissions: 2 }, 'transmissions'],
    [{ maxHeldBytes: 8000 }, 'held_bytes'],
  ] as const) {
    const { relay, tree } = fixture(t, limits);
    const content = judged(relay.openGeneration(tree, 'file'));
    const hold = () => relay.hold(content, 'stream', [{ offset: 0, length: 5000 }]);
    const first = hold() as number;
    hold(); // With a limit of bytes each counts half of it.
    assert.throws(hold, failsWith('ETOOMANYREFS'));
    assert.equal(relay.counters().limited[reason], 1);
    relay.advance(first, 5000);
    if (reason === 'transmissions') relay.release(first, 'complete');
    assert.doesNotThrow(hold);
  }
});
