import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProblemError } from '../../../src/http/problem/problems.ts';
import { judge } from '../../../src/http/read/judge.ts';
import { describeRegion } from '../../../src/region/region.ts';
import { stateOfFile } from '../../../src/region/states.ts';
import type { Generation } from '../../../src/relay/relay.ts';
import { unseen } from '../../../src/relay/witness.ts';

const generation: Generation = {
  id: 1,
  device: 1,
  inode: 1,
  size: 1000,
  modifiedSeconds: 1_700_000_000,
  modifiedNanoseconds: 5,
  changedSeconds: 1_700_000_000,
  changedNanoseconds: 6,
  backing: 'tmpfs',
  pageSize: 4096,
  pagesByNode: {},
  seen: unseen,
  node: 0,
};
const region = describeRegion('weights.bin', { generation, epoch: 0, version: 0 }, stateOfFile('g'));
const codeOf = (code: string) => (error: unknown) => error instanceof ProblemError && error.code === code;

test('a range is planned as 206 with its Content-Range', () => {
  const verdict = judge('GET', { range: 'bytes=10-19' }, region);
  assert.ok(verdict.kind === 'content');
  assert.equal(verdict.plan.status, 206);
  assert.equal(verdict.plan.contentRange, 'bytes 10-19/1000');
});

test('preconditions are judged before the range (RFC 9110 13.2.2)', () => {
  assert.throws(() => judge('GET', { range: 'bytes=5000-', 'if-match': '"x"' }, region), codeOf('precondition-failed'));
  const verdict = judge('GET', { range: 'bytes=5000-', 'if-none-match': region.etag }, region);
  assert.equal(verdict.kind, 'not-modified');
});

test('a Range whose If-Range does not hold is ignored (RFC 9110 13.1.5)', () => {
  const verdict = judge('GET', { range: 'bytes=0-1', 'if-range': '"other"' }, region);
  assert.ok(verdict.kind === 'content' && verdict.plan.status === 200);
});

test('Range on HEAD is ignored (RFC 9110 14.2)', () => {
  const verdict = judge('HEAD', { range: 'bytes=0-1' }, region);
  assert.ok(verdict.kind === 'content' && verdict.plan.length === 1000);
});

test('a 416 tells the size (RFC 9110 15.5.17)', () => {
  assert.throws(
    () => judge('GET', { range: 'bytes=1000-' }, region),
    (error) =>
      codeOf('range-not-satisfiable')(error) && (error as ProblemError).headers['content-range'] === 'bytes */1000',
  );
});
