/** Under filters as containers and systemd install them: the service goes on without what is refused, and says so. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import type { Proof } from '../../src/prove/result.ts';
import { inTurn, isLong } from '../support/amount.ts';
import { addHugePages, hugePage, makeHugeFolder, writeHugeFile } from '../support/huge-pages.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf } from '../support/process.ts';
import { compileFilter, type Refusing } from '../support/refused-calls.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { suiteScope } from '../support/suite-scope.ts';

const scope = suiteScope();
const every = ['openat2', 'vmsplice', 'statx', 'move_pages', 'get_mempolicy', 'AF_NETLINK'];
const size = 300_000;
let refusing: Refusing | { missing: string } = { missing: 'not compiled' };

before(() => {
  refusing = compileFilter(scope);
});

type Listed = { name: string; engine: string; engineBecause: string; copyFree: boolean | null };

function makeTree(t: TestContext): string {
  const folder = makeFolder(t, 'tmpfs');
  writeRegion(folder, 'a/deep/file.bin', size, 5);
  symlinkSync('a/deep', join(folder, 'inside'));
  symlinkSync('../../../../../../etc', join(folder, 'outside'));
  symlinkSync('/etc/passwd', join(folder, 'passwd'));
  symlinkSync('loop', join(folder, 'loop'));
  mkdirSync(join(folder, 'a/up'));
  symlinkSync('../deep/../deep/file.bin', join(folder, 'a/up/file'));
  return folder;
}

async function listedBy(origin: string): Promise<Listed> {
  const { regions } = (await (await fetch(`${origin}/regions`)).json()) as { regions: Listed[] };
  return regions.find(({ name }) => name.endsWith('file.bin')) as Listed;
}

async function bytesAreRight(origin: string, path: string): Promise<void> {
  const answer = await fetch(`${origin}/regions/${path}`);
  assert.equal(answer.status, 200, path);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(seededBytes(size, 5)), path);
}

const warningsOf = (child: Child) =>
  child
    .stdout()
    .concat(child.stderr())
    .split('\n')
    .filter((line) => line.includes('system calls are refused here'));

const errnos = ['EPERM', 'ENOSYS'] as const;

const without = (one: string) => every.filter((call) => call !== one);

// Without AF_NETLINK the service does something else altogether; the others together are missed as each of them is.
const alone = isLong ? every : ['AF_NETLINK'];

for (const [at, calls] of [...alone.map((call) => [call]), without('AF_NETLINK'), every].entries()) {
  for (const errno of inTurn(errnos, at)) {
    test(`the service goes on where ${calls.join(', ')} ${calls.length > 1 ? 'are' : 'is'} refused by ${errno}`, async (t) => {
      if ('missing' in refusing) return t.skip(refusing.missing);
      const child = refusing(t, errno, calls, ['serve', '--dir', makeTree(t), '--port', '0']);
      const origin = await originOf(child);
      for (const path of ['a/deep/file.bin', 'inside/file.bin', 'a/up/file']) await bytesAreRight(origin, path);
      for (const path of ['outside/passwd', 'passwd', 'loop', 'a/deep/none', 'a/deep/file.bin/x']) {
        assert.equal((await fetch(`${origin}/regions/${path}`)).status, 404, path);
      }
      const { engine, engineBecause, copyFree } = await listedBy(origin);
      const blind = calls.includes('AF_NETLINK');
      assert.deepEqual([engine, copyFree], blind ? ['copy', false] : ['sendfile', true]);
      if (blind)
        assert.match(engineBecause, new RegExp(`AF_NETLINK is refused \\(${errno}\\).*every peer gets a copy`));
      const metrics = await (await fetch(`${origin}/metrics`)).text();
      const copied = Number(/^pagerelay_copied_bytes_total\{engine="copy"\} (\d+)$/m.exec(metrics)?.[1]);
      assert.equal(copied, blind ? 3 * size : 0);
      await until(() => warningsOf(child).length > 0, 'there is a warning');
      assert.equal(warningsOf(child).length, 1);
      for (const call of calls)
        assert.match(warningsOf(child)[0] ?? '', new RegExp(`${call} is refused \\(${errno}\\)`));
      child.process.kill('SIGTERM');
      assert.equal((await child.exited).code, 0);
    });
  }
}

test('nothing is warned of where nothing is refused', async (t) => {
  if ('missing' in refusing) return t.skip(refusing.missing);
  const child = refusing(t, 'EPERM', [], ['serve', '--dir', makeTree(t), '--port', '0']);
  await listedBy(await originOf(child));
  assert.deepEqual(warningsOf(child), []);
});

test('huge pages are copied where vmsplice is refused', async (t) => {
  if ('missing' in refusing) return t.skip(refusing.missing);
  const short = addHugePages(scope, 3);
  if (short) return t.skip(short);
  const made = makeHugeFolder(scope);
  if ('missing' in made) return t.skip(made.missing);
  const path = join(made.folder, 'file.bin');
  const content = seededBytes(hugePage, 9);
  writeHugeFile(path, content);
  const child = refusing(t, 'EPERM', ['vmsplice'], ['serve', '--region', `file.bin=${path}`, '--port', '0']);
  const origin = await originOf(child);
  const { engine, engineBecause, copyFree } = await listedBy(origin);
  assert.deepEqual([engine, copyFree], ['copy', false]);
  assert.match(engineBecause, /vmsplice is refused \(EPERM\), without which hugetlb can only be copied/);
  const answer = await fetch(`${origin}/regions/file.bin`);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(content));
  child.process.kill('SIGTERM');
  await child.exited;
});

for (const errno of inTurn(errnos, 1)) {
  test(`prove names what is refused by ${errno}, what it costs and the way out`, async (t) => {
    if ('missing' in refusing) return t.skip(refusing.missing);
    const child = refusing(t, errno, every, ['prove', '--json', '--seconds', '0.01']);
    const { code } = await child.exited;
    assert.equal(code, 1, child.stderr());
    const proof = JSON.parse(child.stdout()) as Proof;
    assert.deepEqual(proof.refused.map(({ call }) => call).sort(), [...every].sort());
    for (const refusal of proof.refused) {
      assert.equal(refusal.errno, errno);
      assert.match(refusal.wayOut, /allow/);
      assert.ok(refusal.cost.length > 0);
    }
    for (const { engine, because } of proof.backings) {
      assert.equal(engine, 'copy');
      assert.match(because, /AF_NETLINK is refused/);
    }
    assert.match(proof.conclusion, /copying every byte/);
  });
}
