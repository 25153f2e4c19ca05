/** `pagerelay prove` on persistent memory: a witness of each engine on each kind of it. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import type { Proof } from '../../../src/prove/result.ts';
import { describeProof } from '../../../src/prove/table.ts';
import { startCli } from '../../support/process.ts';
import { note } from './note.ts';

test('prove sees splice send the pages themselves, and sendfile copy or refuse', { timeout: 180_000 }, async (t) => {
  const device = globSync('/dev/dax*')[0] ?? assert.fail('a devdax device');
  const paths = ['/tmp/pmem-ext4', '/tmp/pmem-xfs', device].flatMap((path) => ['--path', path]);
  const child = startCli(t, ['prove', '--json', ...paths]);
  const { code } = await child.exited;
  assert.notEqual(child.stdout(), '', child.stderr());
  const proof = JSON.parse(child.stdout()) as Proof;
  console.log(describeProof(proof));
  note('prove', { proof });
  const verdicts = (backing: string, engine: string) =>
    proof.results
      .filter((result) => result.backing === backing && result.engine === engine)
      .map(({ copyFree }) => copyFree);
  assert.deepEqual(verdicts('fsdax', 'splice'), [true, true]);
  assert.deepEqual(verdicts('fsdax', 'sendfile'), [false, false]);
  assert.deepEqual(verdicts('devdax', 'splice'), [true]);
  assert.notDeepEqual(verdicts('devdax', 'sendfile'), [true]);
  const unmet = proof.claims.filter(({ met }) => !met);
  assert.deepEqual([code, unmet], [0, []]);
  assert.doesNotMatch(proof.conclusion, /nobody could see/);
  for (const backing of ['tmpfs', 'memfd']) assert.deepEqual(verdicts(backing, 'sendfile'), [true], backing);
});
