import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import {
  ifRangeHolds,
  judgePreconditions,
  type PreconditionVerdict,
  type Validators,
} from '../../../src/http/read/preconditions.ts';

const validators: Validators = {
  etag: '"A"',
  lastModified: new Date('1994-11-06T08:49:37.900Z'),
  writtenInPlace: false,
};
const before = 'Sun, 06 Nov 1994 08:49:36 GMT';
const same = 'Sun, 06 Nov 1994 08:49:37 GMT';
const after = 'Sun, 06 Nov 1994 08:49:38 GMT';

type Case = readonly [source: string, method: string, headers: IncomingHttpHeaders, PreconditionVerdict];

const cases: readonly Case[] = [
  ['RFC 9110 13.2.2, no condition', 'GET', {}, 'proceed'],

  ['Go TestServeContent', 'GET', { 'if-match': '"A"' }, 'proceed'],
  ['Go TestServeContent', 'GET', { 'if-match': '"Z", "A"' }, 'proceed'],
  ['Go TestServeContent', 'GET', { 'if-match': '*' }, 'proceed'],
  ['Go TestServeContent', 'GET', { 'if-match': 'W/"A"' }, 'failed'],
  ['Go TestServeContent', 'GET', { 'if-match': '"Z"' }, 'failed'],
  ['RFC 9110 13.1.1, methods that write', 'PUT', { 'if-match': '"Z"' }, 'failed'],
  ['RFC 9110 13.1.1, methods that write', 'PUT', { 'if-match': '"A"' }, 'proceed'],
  ['RFC 9110 13.1.1, no tag', 'GET', { 'if-match': '' }, 'failed'],
  ['RFC 9110 8.8.3, no quotes', 'GET', { 'if-match': 'A' }, 'failed'],
  ['RFC 9110 8.8.3, case counts', 'GET', { 'if-match': '"a"' }, 'failed'],
  ['RFC 9110 13.1.1, * among tags', 'GET', { 'if-match': '*, "Z"' }, 'failed'],
  ['RFC 9110 8.8.3, broken list', 'GET', { 'if-match': '"A", Z' }, 'failed'],
  ['RFC 9110 5.6.1, no comma', 'GET', { 'if-match': '"A" "Z"' }, 'failed'],
  ['RFC 9110 8.8.3, open quote', 'GET', { 'if-match': '"A", "Z' }, 'failed'],
  ['RFC 9110 5.6.1.2, empty elements', 'GET', { 'if-match': ', ,"Z",, "A" ,' }, 'proceed'],

  ['RFC 9110 13.1.4', 'GET', { 'if-unmodified-since': before }, 'failed'],
  ['RFC 9110 13.1.4, whole seconds', 'GET', { 'if-unmodified-since': same }, 'proceed'],
  ['RFC 9110 13.1.4', 'PUT', { 'if-unmodified-since': after }, 'proceed'],
  ['RFC 9110 13.1.4', 'DELETE', { 'if-unmodified-since': before }, 'failed'],
  ['RFC 9110 13.1.4, invalid', 'GET', { 'if-unmodified-since': '1994-11-06' }, 'proceed'],
  ['RFC 9110 13.1.4, after If-Match', 'GET', { 'if-match': '"A"', 'if-unmodified-since': before }, 'proceed'],
  ['RFC 9110 13.1.4, after If-Match', 'GET', { 'if-match': '"Z"', 'if-unmodified-since': after }, 'failed'],

  ['Go TestServeContent', 'GET', { 'if-none-match': '"A"' }, 'not-modified'],
  ['Go TestServeContent', 'GET', { 'if-none-match': 'W/"A"' }, 'not-modified'],
  ['Go TestServeContent', 'HEAD', { 'if-none-match': '"Z", "A"' }, 'not-modified'],
  ['RFC 9110 13.1.2', 'GET', { 'if-none-match': '"Z"' }, 'proceed'],
  ['RFC 9110 13.1.2', 'GET', { 'if-none-match': '*' }, 'not-modified'],
  ['RFC 9110 13.1.2', 'PUT', { 'if-none-match': '*' }, 'failed'],
  ['RFC 9110 13.1.2', 'PUT', { 'if-none-match': 'W/"A"' }, 'failed'],
  ['RFC 9110 13.1.2', 'PUT', { 'if-none-match': '"Z"' }, 'proceed'],
  ['RFC 9110 8.8.3, case of W/', 'GET', { 'if-none-match': 'w/"A"' }, 'proceed'],
  ['RFC 9110 8.8.3, broken list', 'GET', { 'if-none-match': '"A", Z' }, 'proceed'],

  ['RFC 9110 13.1.3', 'GET', { 'if-modified-since': before }, 'proceed'],
  ['RFC 9110 13.1.3, whole seconds', 'GET', { 'if-modified-since': same }, 'not-modified'],
  ['RFC 9110 13.1.3', 'HEAD', { 'if-modified-since': after }, 'not-modified'],
  ['RFC 9110 5.6.7, rfc850', 'GET', { 'if-modified-since': 'Sunday, 06-Nov-94 08:49:37 GMT' }, 'not-modified'],
  ['RFC 9110 5.6.7, asctime', 'GET', { 'if-modified-since': 'Sun Nov  6 08:49:37 1994' }, 'not-modified'],
  ['RFC 9110 13.1.3, other methods', 'PUT', { 'if-modified-since': after }, 'proceed'],
  ['RFC 9110 13.1.3, invalid', 'GET', { 'if-modified-since': '2994' }, 'proceed'],
  ['RFC 9110 13.1.3, after If-None-Match', 'GET', { 'if-none-match': '"Z"', 'if-modified-since': after }, 'proceed'],
  [
    'RFC 9110 13.1.3, after If-None-Match',
    'GET',
    { 'if-none-match': '"A"', 'if-modified-since': before },
    'not-modified',
  ],
  ['RFC 9110 13.2.2, steps 1 and 3', 'GET', { 'if-match': '"A"', 'if-none-match': '"A"' }, 'not-modified'],
  ['RFC 9110 13.2.2, steps 1 and 3', 'GET', { 'if-match': '"Z"', 'if-none-match': '"A"' }, 'failed'],
  ['RFC 9110 13.2.2, steps 2 and 4', 'GET', { 'if-unmodified-since': same, 'if-modified-since': same }, 'not-modified'],
];

for (const [source, method, headers, verdict] of cases) {
  test(`${method} with ${JSON.stringify(headers)} is ${verdict} (${source})`, () => {
    assert.equal(judgePreconditions(headers, method, validators), verdict);
  });
}

test('an entity-tag may hold commas, spaces are not among what it may hold (RFC 9110 8.8.3)', () => {
  const withComma = { ...validators, etag: '"a,b"' };
  assert.equal(judgePreconditions({ 'if-none-match': '"z", "a,b"' }, 'GET', withComma), 'not-modified');
  assert.equal(judgePreconditions({ 'if-none-match': '"a","b"' }, 'GET', withComma), 'proceed');
  assert.equal(judgePreconditions({ 'if-none-match': '"z,"A","' }, 'GET', validators), 'proceed');
  const withSpace = { ...validators, etag: '"a b"' };
  assert.equal(judgePreconditions({ 'if-none-match': '"a b"' }, 'GET', withSpace), 'proceed');
});

test('several lines of one field are one list (RFC 9110 5.3)', () => {
  const lines = { 'if-none-match': ['"Y"', '"Z", "A"'] } as unknown as IncomingHttpHeaders;
  assert.equal(judgePreconditions(lines, 'GET', validators), 'not-modified');
  assert.equal(judgePreconditions({ 'if-none-match': '"Y", "Z", "A"' }, 'GET', validators), 'not-modified');
});

test('a weak tag of the region itself never matches strongly (RFC 9110 8.8.3.2)', () => {
  const weak = { ...validators, etag: 'W/"A"' };
  assert.equal(judgePreconditions({ 'if-match': 'W/"A"' }, 'GET', weak), 'failed');
  assert.equal(judgePreconditions({ 'if-none-match': '"A"' }, 'GET', weak), 'not-modified');
  assert.equal(ifRangeHolds({ 'if-range': 'W/"A"' }, weak, new Date()), false);
});

test('a list of a million tags or an open quote of a million characters is judged in linear time', () => {
  // In quadratic time it would take hours.
  const tags = `${'"Z" , '.repeat(1_000_000)}"A"`;
  assert.equal(judgePreconditions({ 'if-none-match': tags }, 'GET', validators), 'not-modified');
  const spaces = `"Z"${' '.repeat(1_000_000)}"A"`;
  assert.equal(judgePreconditions({ 'if-none-match': spaces }, 'GET', validators), 'proceed');
  assert.equal(judgePreconditions({ 'if-match': `"${'A'.repeat(1_000_000)}` }, 'GET', validators), 'failed');
});

const later = new Date('2026-03-10T12:00:00Z');
const sameSecond = new Date('1994-11-06T08:49:37.999Z');
const nextSecond = new Date('1994-11-06T08:49:38.000Z');

const ifRanges: readonly (readonly [source: string, field: string | undefined, now: Date, holds: boolean])[] = [
  ['RFC 9110 13.1.5, absent', undefined, later, true],
  ['Go TestServeContent', '"A"', later, true],
  ['Go TestServeContent', 'W/"A"', later, false],
  ['RFC 9110 13.1.5', '"Z"', later, false],
  ['RFC 9110 13.1.5, one tag only', '"A", "Z"', later, false],
  ['RFC 9110 13.1.5, no *', '*', later, false],
  ['RFC 9110 13.1.5, neither tag nor date', 'A', later, false],
  ['RFC 9110 13.1.5, neither tag nor date', '', later, false],
  ['Go TestServeContent', same, later, true],
  ['Go TestServeContent, one second later', after, later, false],
  ['RFC 9110 13.1.5, exact', before, later, false],
  ['RFC 9110 5.6.7, rfc850', 'Sunday, 06-Nov-94 08:49:37 GMT', later, true],
  ['RFC 9110 8.8.2.2, weak date', same, sameSecond, false],
  ['RFC 9110 8.8.2.2, strong date', same, nextSecond, true],
  ['RFC 9110 8.8.2.2, change from the future', same, new Date('1990-01-01'), false],
];

for (const [source, field, now, holds] of ifRanges) {
  test(`If-Range ${field} at ${now.toISOString()} ${holds ? 'holds' : 'fails'} (${source})`, () => {
    const headers = field === undefined ? {} : { 'if-range': field };
    assert.equal(ifRangeHolds(headers, validators, now), holds);
  });
}

test('no date holds for a region written in place, its entity-tag does', () => {
  const written = { ...validators, writtenInPlace: true };
  assert.equal(ifRangeHolds({ 'if-range': same }, written, later), false);
  assert.equal(ifRangeHolds({ 'if-range': '"A"' }, written, later), true);
});

const undated: Validators = { ...validators, lastModified: undefined };

const withoutDate: readonly Case[] = [
  ['RFC 9110 13.1.3, no date', 'GET', { 'if-modified-since': after }, 'proceed'],
  ['RFC 9110 13.1.4, no date', 'GET', { 'if-unmodified-since': before }, 'proceed'],
  ['RFC 9110 13.1.4, no date', 'PUT', { 'if-unmodified-since': before }, 'proceed'],
  ['RFC 9110 13.1.2, no date', 'GET', { 'if-none-match': '"A"' }, 'not-modified'],
];

for (const [source, method, headers, verdict] of withoutDate) {
  test(`${method} with ${JSON.stringify(headers)} of a region without a date: ${verdict} (${source})`, () => {
    assert.equal(judgePreconditions(headers, method, undated), verdict);
  });
}

test('no date holds in If-Range for a region without one, its entity-tag does', () => {
  assert.equal(ifRangeHolds({ 'if-range': same }, undated, later), false);
  assert.equal(ifRangeHolds({ 'if-range': '"A"' }, undated, later), true);
});
