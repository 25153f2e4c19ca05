import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProblemError } from '../../../src/http/problem/problems.ts';
import { DigestCheck, digestField, givenDigests, wantsReprDigest } from '../../../src/http/read/digest-fields.ts';

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

const body = Buffer.from('{"hello": "world"}\n');
const sha256 = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:';
const sha512 = 'sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:';
const empty = createHash('sha256').digest('base64');

const given: readonly (readonly [what: string, headers: IncomingHttpHeaders, digests: readonly string[]])[] = [
  ['no field', {}, []],
  ['an empty field', { 'repr-digest': '' }, []],
  ['one digest', { 'content-digest': sha256 }, ['content-digest sha-256']],
  ['two digests', { 'repr-digest': `${sha512},\t${sha256}` }, ['repr-digest sha-256', 'repr-digest sha-512']],
  [
    'two fields',
    { 'content-digest': sha256, 'repr-digest': sha256 },
    ['content-digest sha-256', 'repr-digest sha-256'],
  ],
  ['unknown algorithms', { 'repr-digest': `unixsum=1, md5=:AA==:, ${sha512}, x` }, ['repr-digest sha-512']],
  ['parameters', { 'repr-digest': `${sha256};a=1` }, ['repr-digest sha-256']],
  [
    'an algorithm that comes again, of which the last counts',
    { 'repr-digest': `sha-256=1, ${sha256}` },
    ['repr-digest sha-256'],
  ],
  ['another field', { 'want-repr-digest': 'sha-256=x' }, []],
];

for (const [what, headers, digests] of given) {
  test(`${what} gives ${digests.length} digests to check (RFC 9530 2, 3)`, () => {
    const found = givenDigests(headers);
    assert.deepEqual(
      found.map(({ field, algorithm }) => `${field} ${algorithm}`),
      digests,
    );
    for (const { algorithm, value } of found) {
      assert.deepEqual(value, createHash(algorithm.replace('-', '')).update(body).digest());
    }
  });
}

function refuses(code: string, detail: string, act: () => void): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof ProblemError);
    assert.deepEqual([error.code, error.status, error.detail], [code, 400, detail]);
    return true;
  });
}

const noSequence = 'sha-256 in repr-digest is no byte sequence of 32 bytes.';
const malformed: readonly (readonly [field: string, detail: string])[] = [
  ['!', 'repr-digest is no dictionary.'],
  ['sha-256=', 'repr-digest is no dictionary.'],
  ['sha-256=:AA', 'repr-digest is no dictionary.'],
  ['sha-256=:?:', 'repr-digest is no dictionary.'],
  ['SHA-256=:AA==:', 'repr-digest is no dictionary.'],
  [`${sha256},`, 'repr-digest is no dictionary.'],
  ['sha-256', noSequence],
  ['sha-256=?0', noSequence],
  ['sha-256="RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="', noSequence],
  [`sha-256=(${sha256.slice('sha-256='.length)})`, noSequence],
  ['sha-256=::', noSequence],
  ['sha-256=:AA==:', noSequence],
  [`sha-512${sha256.slice('sha-256'.length)}`, 'sha-512 in repr-digest is no byte sequence of 64 bytes.'],
];

for (const [field, detail] of malformed) {
  test(`Repr-Digest: ${field} is malformed`, () => {
    refuses('digest-malformed', detail, () => givenDigests({ 'repr-digest': field }));
  });
}

test('digests of the bytes that went by are kept, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (chunks) => {
      const whole = Buffer.concat(chunks);
      const digest = (name: string) => createHash(name).update(whole).digest('base64');
      const field = `sha-256=:${digest('sha256')}:, sha-512=:${digest('sha512')}:`;
      const check = new DigestCheck(givenDigests({ 'content-digest': field, 'repr-digest': field }));
      for (const chunk of chunks) check.update(chunk);
      check.finish();
    }),
  );
});

test('a digest of other bytes is refused by its field and algorithm', () => {
  const wrong = [
    ['repr-digest sha-256', { 'content-digest': sha256, 'repr-digest': `sha-256=:${empty}:` }],
    ['content-digest sha-256', { 'content-digest': `${sha512}, sha-256=:${empty}:`, 'repr-digest': sha256 }],
  ] as const;
  for (const [which, headers] of wrong) {
    const check = new DigestCheck(givenDigests(headers));
    check.update(body);
    const [field, algorithm] = which.split(' ');
    refuses('digest-mismatch', `The body's ${algorithm} is not the one in ${field}.`, () => check.finish());
  }
});

test('no bytes at all are checked too', () => {
  new DigestCheck(givenDigests({ 'repr-digest': `sha-256=:${empty}:` })).finish();
});

test('nothing given holds for any bytes', () => {
  const check = new DigestCheck([]);
  check.update(body);
  check.finish();
});
