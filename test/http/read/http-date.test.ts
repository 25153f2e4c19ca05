import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHttpDate } from '../../../src/http/read/http-date.ts';

const now = new Date('2026-03-10T12:00:00Z');

const valid: readonly (readonly [source: string, text: string, iso: string])[] = [
  ['RFC 9110 5.6.7, IMF-fixdate', 'Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['RFC 9110 5.6.7, rfc850-date', 'Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['RFC 9110 5.6.7, asctime-date', 'Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37.000Z'],
  ['RFC 9110 5.6.7, asctime-date, two digits', 'Wed Nov 16 08:49:37 1994', '1994-11-16T08:49:37.000Z'],
  ['leap day', 'Thu, 29 Feb 2024 00:00:00 GMT', '2024-02-29T00:00:00.000Z'],
  ['leap day of a century', 'Tuesday, 29-Feb-00 00:00:00 GMT', '2000-02-29T00:00:00.000Z'],
  ['leap second', 'Sat, 31 Dec 2016 23:59:60 GMT', '2017-01-01T00:00:00.000Z'],
  ['before 1970', 'Wed, 31 Dec 1969 23:59:59 GMT', '1969-12-31T23:59:59.000Z'],
  ['a year below 100 with four digits', 'Sat, 06 Nov 0094 08:49:37 GMT', '0094-11-06T08:49:37.000Z'],
  ['day name of another day', 'Mon, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['two digits, under 50 years ahead', 'Tuesday, 10-Mar-76 12:00:00 GMT', '2076-03-10T12:00:00.000Z'],
  ['two digits, a second over 50 years ahead', 'Tuesday, 10-Mar-76 12:00:01 GMT', '1976-03-10T12:00:01.000Z'],
  ['two digits, this year', 'Tuesday, 10-Mar-26 12:00:00 GMT', '2026-03-10T12:00:00.000Z'],
];

for (const [source, text, iso] of valid) {
  test(`${JSON.stringify(text)} is ${iso} (${source})`, () => {
    assert.equal(parseHttpDate(text, now)?.toISOString(), iso);
  });
}

test('a two-digit year can lie in the next century late in this one (RFC 9110 5.6.7)', () => {
  const late = new Date('2099-06-01T00:00:00Z');
  assert.equal(parseHttpDate('Sunday, 06-Nov-10 08:49:37 GMT', late)?.getUTCFullYear(), 2110);
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', late)?.getUTCFullYear(), 2094);
});

const invalid: readonly (readonly [why: string, text: string])[] = [
  ['empty', ''],
  ['a number', '0'],
  ['a number', '784111777'],
  ['ISO 8601', '1994-11-06T08:49:37Z'],
  ['no time zone', 'Sun, 06 Nov 1994 08:49:37'],
  ['another zone', 'Sun, 06 Nov 1994 08:49:37 UTC'],
  ['an offset', 'Sun, 06 Nov 1994 08:49:37 +0000'],
  ['no day name', '06 Nov 1994 08:49:37 GMT'],
  ['no such day name', 'Son, 06 Nov 1994 08:49:37 GMT'],
  ['no such month', 'Sun, 06 Nvo 1994 08:49:37 GMT'],
  ['lower case', 'sun, 06 nov 1994 08:49:37 gmt'],
  ['one-digit day', 'Sun, 6 Nov 1994 08:49:37 GMT'],
  ['one-digit day in asctime', 'Sun Nov 6 08:49:37 1994'],
  ['two-digit year in IMF-fixdate', 'Sun, 06 Nov 94 08:49:37 GMT'],
  ['four-digit year in rfc850', 'Sunday, 06-Nov-1994 08:49:37 GMT'],
  ['short day name in rfc850', 'Sun, 06-Nov-94 08:49:37 GMT'],
  ['zone after asctime', 'Sun Nov  6 08:49:37 1994 GMT'],
  ['day 0', 'Sun, 00 Nov 1994 08:49:37 GMT'],
  ['day 31 of 30', 'Thu, 31 Nov 1994 08:49:37 GMT'],
  ['leap day of a common year', 'Wed, 29 Feb 2023 00:00:00 GMT'],
  ['hour 24', 'Sun, 06 Nov 1994 24:00:00 GMT'],
  ['minute 60', 'Sun, 06 Nov 1994 08:60:00 GMT'],
  ['second 61', 'Sun, 06 Nov 1994 08:49:61 GMT'],
  ['space around', ' Sun, 06 Nov 1994 08:49:37 GMT'],
  ['line end', 'Sun, 06 Nov 1994 08:49:37 GMT\n'],
  ['two dates', 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT'],
  ['an entity-tag', '"Sun, 06 Nov 1994 08:49:37 GMT"'],
];

for (const [why, text] of invalid) {
  test(`${JSON.stringify(text)} is no date (${why})`, () => {
    assert.equal(parseHttpDate(text, now), undefined);
  });
}

test('every second that JavaScript writes as a date is read back', () => {
  const dates = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
  fc.assert(
    fc.property(dates, (date) => {
      const seconds = Math.floor(date.getTime() / 1000);
      assert.equal(parseHttpDate(date.toUTCString())?.getTime(), seconds * 1000);
    }),
  );
});

test('a two-digit year is never more than 50 years ahead and never 51 back', () => {
  const moments = fc.date({ min: new Date('1980-01-01'), max: new Date('2150-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(moments, fc.integer({ min: 0, max: 99 }), (moment, year) => {
      const text = `Monday, 06-Nov-${String(year).padStart(2, '0')} 08:49:37 GMT`;
      const ahead = (parseHttpDate(text, moment)?.getUTCFullYear() ?? Number.NaN) - moment.getUTCFullYear();
      assert.ok(ahead <= 50 && ahead >= -50);
    }),
  );
});
