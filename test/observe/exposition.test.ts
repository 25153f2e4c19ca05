import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFor, openMetrics, plainText } from '../../src/observe/exposition.ts';
import { type Family, histogram, single } from '../../src/observe/family.ts';

const text = 'text/plain';
const open = 'application/openmetrics-text';
const utf8 = 'escaping=allow-utf-8';
const prometheus3 = [
  `${open};version=1.0.0;${utf8};q=0.6,${open};version=0.0.1;q=0.5`,
  `${text};version=1.0.0;${utf8};q=0.4,${text};version=0.0.4;q=0.3,*/*;q=0.2`,
].join();

const accepted: readonly (readonly [accept: string | undefined, expected: typeof plainText])[] = [
  [undefined, plainText],
  ['', plainText],
  ['*/*', plainText],
  [text, plainText],
  [open, openMetrics],
  [`${open}; version=1.0.0`, openMetrics],
  [`${open};version=1.0.0,${open};version=0.0.1;q=0.75,${text};version=0.0.4;q=0.5,*/*;q=0.1`, openMetrics],
  [prometheus3, openMetrics],
  [`${open};q=0.3, ${text};q=0.9`, plainText],
  [`${open};q=0`, plainText],
  [`${open};q=nonsense`, plainText],
  ['APPLICATION/OpenMetrics-Text', openMetrics],
  [`${open}s`, plainText],
];

for (const [accept, expected] of accepted) {
  test(`Accept: ${accept} is answered with ${expected.contentType}`, () => {
    assert.equal(formatFor(accept), expected);
  });
}

const families: readonly Family[] = [
  single('a_total', 'What is counted.', 7),
  {
    name: 'b',
    type: 'gauge',
    help: 'Back\\slash.',
    samples: [{ labels: { x: 'a"b\\c\nd', y: 'é' }, value: Number.NaN }],
  },
  histogram('c_seconds', 'How long.', {
    buckets: [
      [0.5, 2],
      [5, 1],
      [Number.POSITIVE_INFINITY, 0],
    ],
    sum: 4.5,
  }),
];

test("Prometheus's text format has a counter's whole name, and bounds as numbers are written", () => {
  const expected = `# HELP a_total What is counted.
# TYPE a_total counter
a_total 7

# HELP b Back\\\\slash.
# TYPE b gauge
b{x="a\\"b\\\\c\\nd",y="é"} NaN

# HELP c_seconds How long.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 2
c_seconds_bucket{le="5"} 3
c_seconds_bucket{le="+Inf"} 3
c_seconds_sum 4.5
c_seconds_count 3
`;
  assert.equal(plainText.write(families), expected);
});

test('OpenMetrics calls a counter without _total, tells units, writes bounds as floats and has an end', () => {
  const expected = `# HELP a What is counted.
# TYPE a counter
a_total 7
# HELP b Back\\\\slash.
# TYPE b gauge
b{x="a\\"b\\\\c\\nd",y="é"} NaN
# HELP c_seconds How long.
# TYPE c_seconds histogram
# UNIT c_seconds seconds
c_seconds_bucket{le="0.5"} 2
c_seconds_bucket{le="5.0"} 3
c_seconds_bucket{le="+Inf"} 3
c_seconds_sum 4.5
c_seconds_count 3
# EOF
`;
  assert.equal(openMetrics.write(families), expected);
});
