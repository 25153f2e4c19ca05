import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { preferredWait } from '../../../src/http/write/prefer.ts';

const cases: readonly (readonly [source: string, field: string | undefined, seconds: number | undefined])[] = [
  ['no field', undefined, undefined],
  ['RFC 7240 4.3', 'wait=100', 100],
  ['RFC 7240 4.3', 'respond-async, wait=100', 100],
  ['RFC 7240 4.3', 'respond-async, wait=10', 10],
  ['RFC 7240 4.3, zero', 'wait=0', 0],
  ['RFC 7240 2, other preferences', 'return=minimal', undefined],
  ['RFC 7240 2, other preferences', 'handling=lenient, wait=100, respond-async', 100],
  ['RFC 7240 2, parameters of others', 'foo; bar, wait=5', 5],
  ['RFC 7240 2, parameters of others', 'foo; wait=1, wait=5', 5],
  ['RFC 7240 2, parameters of others', 'foo; bar="", foo=""; some-parameter="a, wait=1", wait=5', 5],
  ['RFC 7240 2, its own parameters', 'wait=5; a; b=c;; d="x;\\"y,"', 5],
  ['RFC 7240 2, a name in any case', 'Wait=5', 5],
  ['RFC 7240 2, the first of two', 'wait=5, wait=9', 5],
  ['RFC 7240 2, the first of two, in any case', 'WAIT=5, wait=9', 5],
  ['RFC 7240 2, the first of two, though malformed', 'wait=x, wait=9', undefined],
  ['RFC 7240 2, the first of two, though empty', 'wait, wait=9', undefined],
  ['RFC 7240 2, white space around =', 'wait =\t 5 ', 5],
  ['RFC 9110 5.6.1.2, empty elements', ', ,\twait=5,,', 5],
  ['RFC 7240 2, no value', 'wait', undefined],
  ['RFC 7240 2, empty value', 'wait=', undefined],
  ['RFC 7240 2, empty value', 'wait=""', undefined],
  ['RFC 7240 4.3, quoted', 'wait="5"', undefined],
  ['RFC 7240 4.3, sign', 'wait=-5', undefined],
  ['RFC 7240 4.3, sign', 'wait=+5', undefined],
  ['RFC 7240 4.3, fraction', 'wait=1.5', undefined],
  ['RFC 7240 4.3, not decimal', 'wait=0x5', undefined],
  ['RFC 7240 4.3, unit', 'wait=5s', undefined],
  ['RFC 7240 4.3, longer name', 'await=5, wait-more=5', undefined],
  ['RFC 7240 2, two values', 'wait=5 6', undefined],
  ['RFC 7240 2, two values', 'wait=5=6', undefined],
  ['RFC 7240 2, no name', '=5, wait=5', undefined],
  ['RFC 7240 2, no preference before a parameter', '; a, wait=5', undefined],
  ['RFC 7240 2, no token', 'wait=5, a b', undefined],
  ['RFC 7240 2, no token', 'wait=5; @=1', undefined],
  ['RFC 9110 5.6.3, no-break space', '\u00a0wait=5', undefined],
  ['RFC 9110 5.6.4, open quote', 'wait=5, a="b', undefined],
  ['RFC 9110 5.6.4, open quote', 'a="b\\", wait=5', undefined],
  ['an empty field', '', undefined],
  ['digits saturate', `wait=${'9'.repeat(400)}`, Number.MAX_SAFE_INTEGER],
];

for (const [source, field, seconds] of cases) {
  test(`Prefer: ${field?.slice(0, 60)} waits ${seconds} seconds (${source})`, () => {
    assert.equal(preferredWait(field === undefined ? {} : { prefer: field }), seconds);
  });
}

test('never throws, whatever the field holds', () => {
  const scrambled = fc.array(fc.constantFrom('wait', '=', '5', ',', ';', ' ', '"', '\\', '\t')).map((p) => p.join(''));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), scrambled), (field) => {
      const seconds = preferredWait({ prefer: field });
      return seconds === undefined || Number.isSafeInteger(seconds);
    }),
    { numRuns: 2000 },
  );
});

const many = 100_000;
for (const part of [' ', ' ;', ' ,', '"', '\\', '" ', 'a=', '="']) {
  test(`a field with very many ${JSON.stringify(part)} is judged before the test times out`, () => {
    preferredWait({ prefer: `a${part.repeat(many)}x\u0000` });
    preferredWait({ prefer: `a="${part.repeat(many)}` });
  });
}
