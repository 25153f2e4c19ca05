import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { digestField, wantsReprDigest } from '../../src/http/digest-fields.ts';

const wanted: [string | undefined, boolean][] = [
  ['sha-256=10', true],
  ['sha-512=3, sha-256=10, unixsum=0', true],
  ['sha-256=0', false],
  ['sha-512=10', false],
  ['sha-256', false],
  ['sha-256="10"', false],
  ['not a dictionary!', false],
  ['', false],
  [undefined, false],
];

for (const [field, answer] of wanted) {
  test(`Want-Repr-Digest: ${field} ${answer ? 'asks for' : 'does not ask for'} a SHA-256 (RFC 9530 4)`, () => {
    assert.equal(wantsReprDigest(field === undefined ? {} : { 'want-repr-digest': field }), answer);
  });
}

test('a digest is a structured byte sequence (RFC 9530 3, appendix B.1)', () => {
  const digest = createHash('sha256').update('{"hello": "world"}\n').digest('base64');
  const field = { 'repr-digest': 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:' };
  assert.deepEqual(digestField(digest), field);
});
