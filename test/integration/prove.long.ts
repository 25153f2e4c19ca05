/** `pagerelay prove`, as a process: what it sees on this machine, and on one whose kernel copies. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, type TestContext, test } from 'node:test';
import type { Proof, Result } from '../../src/prove/result.ts';
import { addHugePages } from '../support/huge-pages.ts';
import { until } from '../support/poll.ts';
import { startCli } from '../support/process.ts';
import { makeFolder } from '../support/regions.ts';
import { suiteScope } from '../support/suite-scope.ts';
import { pretendingEnvironment } from '../support/testing-shim.ts';

const scope = suiteScope();
let noHugePages: string | undefined;

// What the service keeps for its experiments, beside a region of some pages.
before(() => {
  noHugePages = addHugePages(scope, 12);
});

/** What is measured is not looked at here but for being there. */
const briefly = ['--seconds', '0.01'];

async function prove(t: TestContext, args: readonly string[], env: Record<string, string> = {}) {
  const child = startCli(t, ['prove', ...args], env);
  const { code } = await child.exited;
  return { code, stdout: child.stdout(), stderr: child.stderr() };
}

function rowsOf({ results }: Proof, backing: string): Record<string, Result> {
  return Object.fromEntries(results.filter((row) => row.backing === backing).map((row) => [row.engine, row]));
}

/** Folders of scratch files that were not there before: somebody else may be proving too. */
function scratchFolders(): string[] {
  return ['/dev/shm', '/tmp'].flatMap((folder) => readdirSync(folder)).filter((name) => /^pagerelay-prove-/.test(name));
}

const there = new Set(scratchFolders());
const scratchLeft = () => scratchFolders().filter((name) => !there.has(name));

test('what this machine offers is tried with every engine', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const { code, stdout, stderr } = await prove(t, ['--json', '--path', folder, ...briefly]);
  assert.equal(code, 0, stderr);
  const proof = JSON.parse(stdout) as Proof;
  for (const backing of ['tmpfs', 'memfd', 'pagecache']) {
    const { sendfile, splice, zerocopy, copy, stream } = rowsOf(proof, backing);
    assert.deepEqual([sendfile?.copyFree, splice?.copyFree], [true, true], backing);
    assert.deepEqual([sendfile?.used, splice?.used, sendfile?.done], [true, false, 'read by the peer']);
    assert.deepEqual([copy?.copyFree, copy?.done, stream?.copyFree], [false, 'accepted', false]);
    assert.deepEqual([zerocopy?.copyFree, zerocopy?.notice, zerocopy?.done], [false, 'copied', 'notice']);
    for (const free of [sendfile, splice]) assert.equal(free?.measured?.copiedBytes, 0);
    for (const row of [zerocopy, copy, stream]) assert.equal(row?.measured?.copiedBytes, row?.measured?.bytes);
  }
  for (const { backing, engine, measured, refused } of proof.results) {
    if (refused !== null) continue;
    for (const figure of Object.values({ ...measured, copiedBytes: 1 })) {
      assert.ok(figure === null || figure > 0, `${backing} ${engine} ${JSON.stringify(measured)}`);
    }
  }
  assert.ok(
    proof.results.some(({ where }) => where === folder),
    'the folder that was named',
  );
  const means = Object.fromEntries(proof.backings.map(({ backing, overwrites }) => [backing, overwrites?.means]));
  assert.deepEqual([means.tmpfs, means.memfd, means.hugetlb], ['punch', undefined, undefined]);
  assert.ok(means.pagecache === 'direct' || means.pagecache === 'wait');
  assert.ok(proof.claims.length >= 4 && proof.claims.every(({ met }) => met));
  assert.match(proof.conclusion, /^On this machine pagerelay sends tmpfs, memfd.* by sendfile.* without a copy\.$/);

  await t.test('huge pages: splice does not copy, sendfile is refused', (t) => {
    if (noHugePages) return t.skip(noHugePages);
    const { sendfile, splice, zerocopy } = rowsOf(proof, 'hugetlb');
    assert.deepEqual([sendfile?.refused, sendfile?.copyFree, sendfile?.measured], ['EINVAL', null, null]);
    assert.deepEqual([splice?.copyFree, splice?.used, splice?.measured?.copiedBytes], [true, true, 0]);
    assert.equal(zerocopy?.notice, 'copied');
    assert.match(proof.conclusion, /hugetlb by splice/);
  });
  await until(() => scratchLeft().length === 0, 'nothing is left', scratchLeft);
});

test('a kernel that copies is found out: another engine, and exit code 1', async (t) => {
  const env = pretendingEnvironment({ witnessSays: { sendfile: false, splice: false } });
  const { code, stdout } = await prove(t, briefly, env);
  assert.equal(code, 1);
  assert.match(stdout, /^tmpfs \/dev\/shm +sendfile +no +100 %.* accepted$/m);
  assert.match(stdout, /^tmpfs \/dev\/shm +splice +no +100 %.* accepted$/m);
  assert.match(stdout, /^tmpfs \/dev\/shm +> copy +no +100 %.* accepted$/m);
  assert.match(
    stdout,
    /^NOT MET: --engine auto sends tmpfs \(\/dev\/shm\) without a copy \(copy is used, for every other/m,
  );
  assert.match(stdout, /^On this machine pagerelay sends tmpfs.* by copy, copying every byte\.$/m);
});

test('a signal ends it and leaves nothing behind', async (t) => {
  const child = startCli(t, ['prove']);
  await until(
    () => scratchLeft().length > 0,
    'it is under way',
    () => child.stderr(),
  );
  child.process.kill('SIGTERM');
  await child.exited;
  await until(() => scratchLeft().length === 0, 'nothing is left', scratchLeft);
});

test('a wrong command line is answered by usage and exit code 2', async (t) => {
  for (const args of [['--nonsense'], ['--path', '/nowhere'], ['--path', '/dev/null']]) {
    const { code, stdout, stderr } = await prove(t, args);
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, /Usage: pagerelay prove/);
  }
});

test('without the shim it says so, and that is no proof', async (t) => {
  const { code, stdout, stderr } = await prove(t, ['--json'], { PAGERELAY_PORTABLE: '1' });
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /there is no native shim, so every byte is copied: PAGERELAY_PORTABLE is set/);
});

test('--help prints and exits 0', async (t) => {
  const { code, stdout } = await prove(t, ['--help']);
  assert.equal(code, 0);
  assert.match(stdout, /^Usage: pagerelay prove/);
});
