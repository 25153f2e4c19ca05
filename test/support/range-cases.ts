/**
 * What a GET or HEAD of a region is answered with, as data: one table that runs over every engine. Sources are sections
 * of RFC 9110, and suites of other servers; where these differ from each other the RFC's preference stands.
 *
 * @module
 */
import assert from 'node:assert/strict';
import { type Part, parseMultipart } from './multipart.ts';

/** A region of the table: its size in bytes and its modification time in seconds. */
export type CaseRegion = { readonly size: number; readonly mtime: number; readonly contentType: string };

const octets = 'application/octet-stream';
const modified = 784_111_777;

/** All but two were last modified at the RFC's own example, Sun, 06 Nov 1994 08:49:37 GMT. */
export const caseRegions = {
  'nginx.bin': { size: 1000, mtime: modified, contentType: octets },
  'go.txt': { size: 11, mtime: modified, contentType: 'text/plain; charset=utf-8' },
  'apache.bin': { size: 8000, mtime: modified, contentType: octets },
  'rfc.bin': { size: 10_000, mtime: modified, contentType: octets },
  'large.json': { size: 300_007, mtime: modified, contentType: 'application/json' },
  'one.bin': { size: 1, mtime: modified, contentType: octets },
  'empty.bin': { size: 0, mtime: modified, contentType: octets },
  'fraction.bin': { size: 1000, mtime: modified + 0.9, contentType: octets },
  'future.bin': { size: 1000, mtime: 4_102_444_800, contentType: octets },
} as const satisfies Record<string, CaseRegion>;

export type CaseRegionName = keyof typeof caseRegions;

/** A right answer. Content-Range says which bytes a body holds, and in which order. */
export type Expected =
  | { readonly status: 200 | 304 | 412 }
  | { readonly status: 206; readonly contentRange: string }
  | { readonly status: 206; readonly parts: readonly string[] }
  | { readonly status: 416; readonly contentRange: string };

/** Method and region; field lines, in which `{etag}` stands for the region's entity-tag without its quotes. */
export type RangeCase = readonly [
  source: string,
  request: `${'GET' | 'HEAD'} ${CaseRegionName}`,
  fields: readonly string[],
  expected: Expected,
];

const whole: Expected = { status: 200 };
const notModified: Expected = { status: 304 };
const failed: Expected = { status: 412 };
const single = (contentRange: string): Expected => ({ status: 206, contentRange });
const multiple = (...parts: readonly string[]): Expected => ({ status: 206, parts });
const unsatisfiable = (contentRange: string): Expected => ({ status: 416, contentRange });

const before = 'Sun, 06 Nov 1994 08:49:36 GMT';
const exact = 'Sun, 06 Nov 1994 08:49:37 GMT';
const after = 'Sun, 06 Nov 1994 08:49:38 GMT';
const exactRfc850 = 'Sunday, 06-Nov-94 08:49:37 GMT';
const exactAsctime = 'Sun Nov  6 08:49:37 1994';
const beforeRfc850 = 'Sunday, 06-Nov-94 08:49:36 GMT';
const beforeAsctime = 'Sun Nov  6 08:49:36 1994';
const afterRfc850 = 'Sunday, 06-Nov-94 08:49:38 GMT';
const afterAsctime = 'Sun Nov  6 08:49:38 1994';

const nines = '9'.repeat(400);
const count = (length: number) => Array.from({ length }, (_, at) => at);
const everyThird = (length: number) => count(length).map((at) => `${at * 3}-${at * 3}`);
const everyThirdPart = (length: number) => count(length).map((at) => `bytes ${at * 3}-${at * 3}/8000`);

const singleRanges: readonly RangeCase[] = [
  ['RFC 9110 14.2, no field', 'GET nginx.bin', [], whole],
  ['RFC 9110 14.1.2', 'GET rfc.bin', ['Range: bytes=0-499'], single('bytes 0-499/10000')],
  ['RFC 9110 14.1.2', 'GET rfc.bin', ['Range: bytes=500-999'], single('bytes 500-999/10000')],
  ['RFC 9110 14.1.2', 'GET rfc.bin', ['Range: bytes=-500'], single('bytes 9500-9999/10000')],
  ['RFC 9110 14.1.2', 'GET rfc.bin', ['Range: bytes=9500-'], single('bytes 9500-9999/10000')],
  ['nginx range.t', 'GET nginx.bin', ['Range: bytes=0-8'], single('bytes 0-8/1000')],
  ['nginx range.t', 'GET nginx.bin', ['Range: bytes=-10'], single('bytes 990-999/1000')],
  ['nginx range.t', 'GET nginx.bin', ['Range: bytes=990-'], single('bytes 990-999/1000')],
  ['nginx range.t', 'GET nginx.bin', ['Range: bytes=990-1990'], single('bytes 990-999/1000')],
  ['nginx range.t', 'GET nginx.bin', ['Range: bytes=990-990'], single('bytes 990-990/1000')],
  ['Go ServeFileRangeTests', 'GET go.txt', [], whole],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=0-4'], single('bytes 0-4/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=2-'], single('bytes 2-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=-5'], single('bytes 6-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=3-7'], single('bytes 3-7/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=5-1000'], single('bytes 5-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=0-11'], single('bytes 0-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=10-'], single('bytes 10-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=10-11'], single('bytes 10-10/11')],
  ['RFC 9110 14.1.2, first byte', 'GET large.json', ['Range: bytes=0-0'], single('bytes 0-0/300007')],
  ['RFC 9110 14.1.2, last byte', 'GET large.json', ['Range: bytes=-1'], single('bytes 300006-300006/300007')],
  ['RFC 9110 14.1.2, all of it', 'GET large.json', ['Range: bytes=0-'], single('bytes 0-300006/300007')],
  ['RFC 9110 14.1.2, all of it', 'GET large.json', ['Range: bytes=0-300006'], single('bytes 0-300006/300007')],
  ['RFC 9110 14.1.2, page edge', 'GET large.json', ['Range: bytes=4095-4096'], single('bytes 4095-4096/300007')],
  ['RFC 9110 14.1.2, page edge', 'GET large.json', ['Range: bytes=4096-8191'], single('bytes 4096-8191/300007')],
  [
    'RFC 9110 14.1.2, several pages',
    'GET large.json',
    ['Range: bytes=65535-262144'],
    single('bytes 65535-262144/300007'),
  ],
  ['RFC 9110 14.1.2, one byte', 'GET one.bin', [], whole],
  ['RFC 9110 14.1.2, one byte', 'GET one.bin', ['Range: bytes=0-0'], single('bytes 0-0/1')],
  ['RFC 9110 14.1.2, one byte', 'GET one.bin', ['Range: bytes=0-'], single('bytes 0-0/1')],
  ['RFC 9110 14.1.2, one byte', 'GET one.bin', ['Range: bytes=-1'], single('bytes 0-0/1')],
  ['RFC 9110 14.1.2, suffix longer than the whole', 'GET go.txt', ['Range: bytes=-12'], single('bytes 0-10/11')],
  [
    'RFC 9110 14.1.2, suffix longer than the whole',
    'GET nginx.bin',
    ['Range: bytes=-9999'],
    single('bytes 0-999/1000'),
  ],
  ['RFC 9110 14.1.2, suffix as long as the whole', 'GET go.txt', ['Range: bytes=-11'], single('bytes 0-10/11')],
  ['RFC 9110 14.1.2, suffix one short of it', 'GET go.txt', ['Range: bytes=-10'], single('bytes 1-10/11')],
  ['RFC 9110 14.1.2, leading zeros', 'GET go.txt', ['Range: bytes=007-0010'], single('bytes 7-10/11')],
  ['RFC 9110 14.1.2, leading zeros', 'GET go.txt', ['Range: bytes=-0005'], single('bytes 6-10/11')],
  ['RFC 9110 14.1, unit in capitals', 'GET go.txt', ['Range: BYTES=1-2'], single('bytes 1-2/11')],
  ['RFC 9110 14.1, unit in any case', 'GET go.txt', ['Range: bYtEs=1-2'], single('bytes 1-2/11')],
  ['RFC 9110 5.1, field name in any case', 'GET go.txt', ['rANGE: bytes=1-2'], single('bytes 1-2/11')],
  ['RFC 9110 5.5, white space around a field', 'GET go.txt', ['Range: \t bytes=1-2 \t'], single('bytes 1-2/11')],
  ['RFC 9110 5.6.1.2, empty elements', 'GET go.txt', ['Range: bytes=,1-2'], single('bytes 1-2/11')],
  ['RFC 9110 5.6.1.2, empty elements', 'GET go.txt', ['Range: bytes=1-2,'], single('bytes 1-2/11')],
  ['RFC 9110 5.6.1.2, empty elements', 'GET go.txt', ['Range: bytes=,, 1-2 ,\t,'], single('bytes 1-2/11')],
  ['CVE-2017-7529, digits saturate', 'GET go.txt', [`Range: bytes=0-${nines}`], single('bytes 0-10/11')],
  ['CVE-2017-7529, digits saturate', 'GET go.txt', [`Range: bytes=-${nines}`], single('bytes 0-10/11')],
  ['CVE-2017-7529, 2^63', 'GET nginx.bin', ['Range: bytes=-9223372036854775808'], single('bytes 0-999/1000')],
  ['CVE-2017-7529, 2^64 - 1', 'GET nginx.bin', ['Range: bytes=5-18446744073709551615'], single('bytes 5-999/1000')],
  ['CVE-2017-7529, 2^64 + 1', 'GET nginx.bin', ['Range: bytes=-18446744073709551617'], single('bytes 0-999/1000')],
];

const multipleRanges: readonly RangeCase[] = [
  [
    'nginx range.t',
    'GET nginx.bin',
    ['Range: bytes=0-9, -10, 10-19'],
    multiple('bytes 0-19/1000', 'bytes 990-999/1000'),
  ],
  [
    'nginx range.t, one beyond the end',
    'GET nginx.bin',
    ['Range: bytes=0-9, -10, 100000-, 10-19'],
    multiple('bytes 0-19/1000', 'bytes 990-999/1000'),
  ],
  ['nginx range.t, coalesced', 'GET nginx.bin', ['Range: bytes=0-10001, 0-0'], single('bytes 0-999/1000')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=0-0,-2'], multiple('bytes 0-0/11', 'bytes 9-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=0-1,5-8'], multiple('bytes 0-1/11', 'bytes 5-8/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=0-1,5-'], multiple('bytes 0-1/11', 'bytes 5-10/11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=5-1000,0-1'], multiple('bytes 5-10/11', 'bytes 0-1/11')],
  ['Go ServeFileRangeTests, coalesced', 'GET go.txt', ['Range: bytes=0-,1-,2-,3-,4-'], single('bytes 0-10/11')],
  [
    'Apache byterange6',
    'GET apache.bin',
    ['Range: bytes=0-70,70-100,1000-1001'],
    multiple('bytes 0-100/8000', 'bytes 1000-1001/8000'),
  ],
  [
    'Apache byterange6',
    'GET apache.bin',
    ['Range: bytes=5-10,11-12,99-99'],
    multiple('bytes 5-12/8000', 'bytes 99-99/8000'),
  ],
  ['Apache byterange6', 'GET apache.bin', ['Range: bytes=5-10,1-3'], multiple('bytes 5-10/8000', 'bytes 1-3/8000')],
  ['Apache byterange7', 'GET apache.bin', ['Range: bytes=100000-110000,1000-2000'], single('bytes 1000-2000/8000')],
  ['Apache byterange7', 'GET apache.bin', ['Range: bytes=1000-2000,100000-110000'], single('bytes 1000-2000/8000')],
  ['Apache maxranges', 'GET apache.bin', [`Range: bytes=${'0-0,'.repeat(200)}0-0`], single('bytes 0-0/8000')],
  ['Apache maxranges', 'GET apache.bin', [`Range: bytes=${everyThird(1000).join(',')}`], whole],
  ['RFC 9110 14.2, 2 ranges', 'GET apache.bin', [`Range: bytes=${everyThird(2)}`], multiple(...everyThirdPart(2))],
  ['RFC 9110 14.2, 64 ranges', 'GET apache.bin', [`Range: bytes=${everyThird(64)}`], multiple(...everyThirdPart(64))],
  ['RFC 9110 14.2, 65 ranges', 'GET apache.bin', [`Range: bytes=${everyThird(65)}`], whole],
  [
    'RFC 9110 14.2, 64 ranges backwards',
    'GET apache.bin',
    [`Range: bytes=${everyThird(64).reverse()}`],
    multiple(...everyThirdPart(64).reverse()),
  ],
  [
    'RFC 9110 14.2, 65 ranges, two of which touch',
    'GET apache.bin',
    [`Range: bytes=${everyThird(64)},190-190`],
    multiple(...everyThirdPart(63), 'bytes 189-190/8000'),
  ],
  [
    'RFC 9110 14.2, 65 ranges, one beyond the end',
    'GET apache.bin',
    [`Range: bytes=${everyThird(64)},8000-`],
    multiple(...everyThirdPart(64)),
  ],
  ['RFC 9110 15.3.7.2, adjacent', 'GET go.txt', ['Range: bytes=0-4,5-9'], single('bytes 0-9/11')],
  ['RFC 9110 15.3.7.2, adjacent, backwards', 'GET go.txt', ['Range: bytes=5-9,0-4'], single('bytes 0-9/11')],
  ['RFC 9110 15.3.7.2, equal', 'GET go.txt', ['Range: bytes=3-3,3-3'], single('bytes 3-3/11')],
  ['RFC 9110 15.3.7.2, one in the other', 'GET go.txt', ['Range: bytes=4-5,2-8'], single('bytes 2-8/11')],
  ['RFC 9110 15.3.7.2, joined by a third', 'GET go.txt', ['Range: bytes=0-2,6-8,3-5'], single('bytes 0-8/11')],
  ['RFC 9110 15.3.7.2, a suffix that overlaps', 'GET go.txt', ['Range: bytes=5-8,-4'], single('bytes 5-10/11')],
  [
    'RFC 9110 15.3.7.2, one byte between',
    'GET go.txt',
    ['Range: bytes=0-4,6-9'],
    multiple('bytes 0-4/11', 'bytes 6-9/11'),
  ],
  [
    'RFC 9110 15.3.7.2, order of the first of each',
    'GET nginx.bin',
    ['Range: bytes=500-600,0-9,550-700,5-20'],
    multiple('bytes 500-700/1000', 'bytes 0-20/1000'),
  ],
  [
    'RFC 9110 14.1.2, first and last byte',
    'GET rfc.bin',
    ['Range: bytes=0-0,-1'],
    multiple('bytes 0-0/10000', 'bytes 9999-9999/10000'),
  ],
  ['RFC 9110 14.1.2, not canonical', 'GET rfc.bin', ['Range: bytes=500-600,601-999'], single('bytes 500-999/10000')],
  ['RFC 9110 14.1.2, not canonical', 'GET rfc.bin', ['Range: bytes=500-700,601-999'], single('bytes 500-999/10000')],
  [
    'RFC 9110 14.1.2, white space as in its example',
    'GET rfc.bin',
    ['Range: bytes= 0-999, 4500-5499, -1000'],
    multiple('bytes 0-999/10000', 'bytes 4500-5499/10000', 'bytes 9000-9999/10000'),
  ],
  [
    'RFC 9110 14.1.2',
    'GET rfc.bin',
    ['Range: bytes=0-999, 4500-5499, -1000'],
    multiple('bytes 0-999/10000', 'bytes 4500-5499/10000', 'bytes 9000-9999/10000'),
  ],
  [
    'RFC 9110 5.6.1.2, empty elements',
    'GET go.txt',
    ['Range: bytes=,0-1 ,\t, 5-8,'],
    multiple('bytes 0-1/11', 'bytes 5-8/11'),
  ],
  [
    'RFC 9110 14.6, parts of many pages',
    'GET large.json',
    ['Range: bytes=0-99999,150001-300006'],
    multiple('bytes 0-99999/300007', 'bytes 150001-300006/300007'),
  ],
  [
    'RFC 9110 14.6, large parts, backwards',
    'GET large.json',
    ['Range: bytes=200000-299999,4095-70001,0-1'],
    multiple('bytes 200000-299999/300007', 'bytes 4095-70001/300007', 'bytes 0-1/300007'),
  ],
  [
    'RFC 9110 14.2, a suffix of nothing among others',
    'GET go.txt',
    ['Range: bytes=-0,2-3,5-6'],
    multiple('bytes 2-3/11', 'bytes 5-6/11'),
  ],
  ['RFC 9110 14.2, all but one beyond the end', 'GET go.txt', ['Range: bytes=11-,12-,10-'], single('bytes 10-10/11')],
  [
    'CVE-2011-3192, overlapping ranges',
    'GET apache.bin',
    [
      `Range: bytes=0-,${count(1300)
        .slice(5)
        .map((at) => `5-${at}`)}`,
    ],
    single('bytes 0-7999/8000'),
  ],
  [
    'CVE-2011-3192, as it was published',
    'GET apache.bin',
    [`Range: bytes=0-,${count(1300).map((at) => `5-${at}`)}`],
    unsatisfiable('bytes */8000'),
  ],
  [
    'CVE-2017-7529, as it was published',
    'GET nginx.bin',
    ['Range: bytes=-1600,-9223372036854774208'],
    single('bytes 0-999/1000'),
  ],
];

const malformedRanges: readonly RangeCase[] = (
  [
    ['Apache byterange7', ''],
    ['Apache byterange7', ','],
    ['Apache byterange7', '7-1'],
    ['Apache byterange7', 'foo'],
    ['Apache byterange7', '1-4,x'],
    ['Apache byterange7', '1-4,5-2'],
    ['RFC 9110 14.1.1, no digits', '-'],
    ['RFC 9110 14.1.1, no dash', '1'],
    ['RFC 9110 14.1.1, second dash', '1-2-3'],
    ['RFC 9110 14.1.1, second dash', '--1'],
    ['RFC 9110 14.1.1, second dash', '0--2'],
    ['RFC 9110 14.1.1, sign', '+1-2'],
    ['RFC 9110 14.1.1, not decimal', '0x1-2'],
    ['RFC 9110 14.1.1, not decimal', '1e0-2'],
    ['RFC 9110 14.1.1, not decimal', '1.0-2'],
    ['RFC 9110 14.1.1, space inside', '1 -2'],
    ['RFC 9110 14.1.1, space inside', '1- 2'],
    ['RFC 9110 14.1.1, semicolon', '1-2;3-4'],
    ['RFC 9110 14.1.1, form of Content-Range', '1-2/11'],
    ['RFC 9110 14.1.1, star', '*'],
    ['RFC 9110 14.1.1, quotes', '"1-2"'],
    ['RFC 9110 14.1.1, obs-text', '1-2\xb2'],
    ['RFC 9110 14.1.1, last below first behind zeros', '0007-5'],
    ['RFC 9110 14.1.1, last below first above 2^53', '9007199254740993-9007199254740992'],
    ['RFC 9110 14.1.1, beyond the end and malformed', '100-,x'],
  ] as const
).map(([source, set]) => [source, 'GET go.txt', [`Range: bytes=${set}`], unsatisfiable('bytes */11')]);

const ignoredRanges: readonly RangeCase[] = [
  ['RFC 9110 14.2, other unit', 'GET go.txt', ['Range: pages=1-2'], whole],
  ['RFC 9110 14.2, other unit', 'GET go.txt', ['Range: bytesx=1-2'], whole],
  ['RFC 9110 14.2, other unit, beyond the end', 'GET go.txt', ['Range: items=100-'], whole],
  ['RFC 9110 14.2, unit none', 'GET go.txt', ['Range: none=1-2'], whole],
  ['RFC 9110 14.1.1, no unit', 'GET go.txt', ['Range: 1-2'], whole],
  ['RFC 9110 14.1.1, no unit', 'GET go.txt', ['Range: =1-2'], whole],
  ['RFC 9110 14.1.1, no set', 'GET go.txt', ['Range: bytes'], whole],
  ['RFC 9110 14.1.1, colon', 'GET go.txt', ['Range: bytes:1-2'], whole],
  ['RFC 9110 14.1.1, space before =', 'GET go.txt', ['Range: bytes =1-2'], whole],
  ['RFC 9110 14.2, empty field', 'GET go.txt', ['Range:'], whole],
  ['RFC 9110 5.3, two fields', 'GET go.txt', ['Range: bytes=1-2', 'Range: bytes=4-5'], unsatisfiable('bytes */11')],
  ['RFC 9110 14.2, no such field', 'GET go.txt', ['Request-Range: bytes=1-2', 'Content-Range: bytes 1-2/11'], whole],
];

const unsatisfiableRanges: readonly RangeCase[] = [
  ['nginx range.t', 'GET nginx.bin', ['Range: bytes=100000-'], unsatisfiable('bytes */1000')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=11-'], unsatisfiable('bytes */11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=11-12'], unsatisfiable('bytes */11')],
  ['Go ServeFileRangeTests', 'GET go.txt', ['Range: bytes=12-100'], unsatisfiable('bytes */11')],
  ['Apache byterange7', 'GET apache.bin', ['Range: bytes=100000-110000'], unsatisfiable('bytes */8000')],
  ['RFC 9110 14.1.2, suffix of nothing', 'GET go.txt', ['Range: bytes=-0'], unsatisfiable('bytes */11')],
  ['RFC 9110 14.1.2, suffix of nothing', 'GET go.txt', ['Range: bytes=-000'], unsatisfiable('bytes */11')],
  ['RFC 9110 15.5.17, several', 'GET go.txt', ['Range: bytes=11-,12-15,-0'], unsatisfiable('bytes */11')],
  ['RFC 9110 15.5.17, one past the end', 'GET one.bin', ['Range: bytes=1-'], unsatisfiable('bytes */1')],
  ['CVE-2017-7529, digits saturate', 'GET go.txt', [`Range: bytes=${nines}-`], unsatisfiable('bytes */11')],
  ['CVE-2017-7529, digits saturate', 'GET go.txt', [`Range: bytes=${nines}-${nines}`], unsatisfiable('bytes */11')],
  ['CVE-2017-7529, 2^32', 'GET go.txt', ['Range: bytes=4294967296-'], unsatisfiable('bytes */11')],
  ['CVE-2017-7529, 2^64', 'GET go.txt', ['Range: bytes=18446744073709551616-'], unsatisfiable('bytes */11')],
  ['Go TestServeContent, empty', 'GET empty.bin', [], whole],
  ['RFC 9110 15.5.17, empty', 'GET empty.bin', ['Range: bytes=0-'], unsatisfiable('bytes */0')],
  ['RFC 9110 15.5.17, empty', 'GET empty.bin', ['Range: bytes=0-0'], unsatisfiable('bytes */0')],
  ['RFC 9110 15.5.17, empty', 'GET empty.bin', ['Range: bytes=-5'], unsatisfiable('bytes */0')],
  ['RFC 9110 15.5.17, empty, several', 'GET empty.bin', ['Range: bytes=0-1,4-5'], unsatisfiable('bytes */0')],
  ['RFC 9110 14.2, empty, malformed', 'GET empty.bin', ['Range: bytes=5-1'], unsatisfiable('bytes */0')],
  ['RFC 9110 14.2, empty, other unit', 'GET empty.bin', ['Range: pages=0-1'], whole],
  ['RFC 9110 13.1.2, empty', 'GET empty.bin', ['If-None-Match: "{etag}"'], notModified],
  ['RFC 9110 13.1.5, empty', 'GET empty.bin', ['Range: bytes=0-', 'If-Range: "other"'], whole],
];

const ifRange: readonly RangeCase[] = (
  [
    ['Go TestServeContent, strong match', '"{etag}"', true],
    ['Go TestServeContent, weak tag', 'W/"{etag}"', false],
    ['Go TestServeContent, date equal', exact, true],
    ['Go TestServeContent, one second later', after, false],
    ['RFC 9110 13.1.5, one second earlier', before, false],
    ['RFC 9110 13.1.5, another tag', '"other"', false],
    ['RFC 9110 13.1.5, one tag only', '"{etag}", "other"', false],
    ['RFC 9110 13.1.5, one tag only', '"other", "{etag}"', false],
    ['RFC 9110 13.1.5, no star', '*', false],
    ['RFC 9110 13.1.5, neither tag nor date', '{etag}', false],
    ['RFC 9110 13.1.5, neither tag nor date', '', false],
    ['RFC 9110 13.1.5, neither tag nor date', '1994-11-06T08:49:37Z', false],
    ['RFC 9110 5.6.7, rfc850', exactRfc850, true],
    ['RFC 9110 5.6.7, asctime', exactAsctime, true],
    ['RFC 9110 5.6.7, rfc850, one second earlier', beforeRfc850, false],
    ['RFC 9110 5.6.7, asctime, one second later', afterAsctime, false],
    ['RFC 9110 8.8.3, case of W/', 'w/"{etag}"', false],
  ] as const
).map(([source, value, holds]) => [
  source,
  'GET nginx.bin',
  ['Range: bytes=0-8', `If-Range: ${value}`],
  holds ? single('bytes 0-8/1000') : whole,
]);

const ifRangeOfOtherKinds: readonly RangeCase[] = [
  ['RFC 9110 13.1.5, no Range', 'GET nginx.bin', ['If-Range: "{etag}"'], whole],
  ['RFC 9110 13.1.5, no Range', 'GET nginx.bin', ['If-Range: "other"'], whole],
  [
    'RFC 9110 13.1.5, several ranges',
    'GET nginx.bin',
    ['Range: bytes=0-8,20-29', 'If-Range: "{etag}"'],
    multiple('bytes 0-8/1000', 'bytes 20-29/1000'),
  ],
  ['RFC 9110 13.1.5, several ranges', 'GET nginx.bin', ['Range: bytes=0-8,20-29', 'If-Range: "other"'], whole],
  ['RFC 9110 13.1.5, beyond the end', 'GET nginx.bin', ['Range: bytes=1000-', 'If-Range: "other"'], whole],
  [
    'RFC 9110 13.1.5, beyond the end',
    'GET nginx.bin',
    ['Range: bytes=1000-', 'If-Range: "{etag}"'],
    unsatisfiable('bytes */1000'),
  ],
  [
    'RFC 9110 13.1.5, malformed',
    'GET nginx.bin',
    ['Range: bytes=x', 'If-Range: "{etag}"'],
    unsatisfiable('bytes */1000'),
  ],
  [
    'RFC 9110 8.8.2, whole seconds',
    'GET fraction.bin',
    ['Range: bytes=0-8', `If-Range: ${exact}`],
    single('bytes 0-8/1000'),
  ],
  ['RFC 9110 8.8.2, whole seconds', 'GET fraction.bin', ['Range: bytes=0-8', `If-Range: ${after}`], whole],
  [
    'RFC 9110 8.8.2.2, a date to come is not strong',
    'GET future.bin',
    ['Range: bytes=0-8', 'If-Range: Fri, 01 Jan 2100 00:00:00 GMT'],
    whole,
  ],
  [
    'RFC 9110 8.8.2.2, the tag still is',
    'GET future.bin',
    ['Range: bytes=0-8', 'If-Range: "{etag}"'],
    single('bytes 0-8/1000'),
  ],
];

const ifMatch: readonly RangeCase[] = (
  [
    ['Go TestServeContent', '"{etag}"', true],
    ['Go TestServeContent, list', '"other", "{etag}"', true],
    ['Go TestServeContent, star', '*', true],
    ['Go TestServeContent, weak tag', 'W/"{etag}"', false],
    ['Go TestServeContent', '"other"', false],
    ['RFC 9110 13.1.1, list without it', '"other", "another"', false],
    ['RFC 9110 13.1.1, weak tag in a list', '"other", W/"{etag}"', false],
    ['RFC 9110 13.1.1, no tag', '', false],
    ['RFC 9110 8.8.3, no quotes', '{etag}', false],
    ['RFC 9110 8.8.3, open quote', '"{etag}', false],
    ['RFC 9110 13.1.1, star among tags', '*, "other"', false],
    ['RFC 9110 5.6.1.2, empty elements', ',,"other",, "{etag}" ,', true],
    ['RFC 9110 8.8.3, a comma inside a tag', '"a,b", "{etag}"', true],
  ] as const
).map(([source, value, holds]) => [source, 'GET go.txt', [`If-Match: ${value}`], holds ? whole : failed]);

const ifNoneMatch: readonly RangeCase[] = (
  [
    ['Go TestServeContent', '"{etag}"', true],
    ['Go TestServeContent, weak comparison', 'W/"{etag}"', true],
    ['Go TestServeContent, list', '"other", "{etag}"', true],
    ['Go TestServeContent, weak tag in a list', '"other",W/"{etag}"', true],
    ['Go TestServeContent', '"other"', false],
    ['Go TestServeContent, malformed', ',', false],
    ['RFC 9110 13.1.2, star', '*', true],
    ['RFC 9110 13.1.2, no tag', '', false],
    ['RFC 9110 8.8.3, no quotes', '{etag}', false],
    ['RFC 9110 8.8.3, case of W/', 'w/"{etag}"', false],
    ['RFC 9110 8.8.3, open quote', '"{etag}', false],
    ['RFC 9110 5.6.1.2, empty elements', ', "{etag}",', true],
    ['RFC 9110 8.8.3, commas inside a tag', '"a,{etag}"', false],
  ] as const
).map(([source, value, matches]) => [source, 'GET go.txt', [`If-None-Match: ${value}`], matches ? notModified : whole]);

const severalLines: readonly RangeCase[] = [
  ['RFC 9110 5.3, two lines', 'GET go.txt', ['If-Match: "other"', 'If-Match: "{etag}"'], whole],
  ['RFC 9110 5.3, two lines', 'GET go.txt', ['If-Match: "other"', 'If-Match: "another"'], failed],
  ['RFC 9110 5.3, two lines', 'GET go.txt', ['If-None-Match: "other"', 'If-None-Match: "{etag}"'], notModified],
  ['RFC 9110 5.3, two lines', 'GET go.txt', ['If-None-Match: "other"', 'If-None-Match: "another"'], whole],
];

/** Dates that come before, at and after the modification; and what is none. */
const earlier: readonly (readonly [source: string, date: string])[] = [
  ['one second earlier', before],
  ['rfc850, one second earlier', beforeRfc850],
  ['asctime, one second earlier', beforeAsctime],
  ['the first second', 'Thu, 01 Jan 1970 00:00:00 GMT'],
];

const notEarlier: readonly (readonly [source: string, date: string])[] = [
  ['equal', exact],
  ['one second later', after],
  ['rfc850, equal', exactRfc850],
  ['asctime, equal', exactAsctime],
  ['rfc850, one second later', afterRfc850],
  ['asctime, one second later', afterAsctime],
  ['leap second', 'Sun, 06 Nov 1994 08:49:60 GMT'],
  ['a date to come', 'Fri, 01 Jan 2100 00:00:00 GMT'],
];

const noDates: readonly (readonly [source: string, text: string])[] = [
  ['empty', ''],
  ['RFC 3339', '1994-11-06T08:49:37Z'],
  ['seconds', '784111777'],
  ['another zone', 'Sun, 06 Nov 1994 08:49:37 UTC'],
  ['an offset', 'Sun, 06 Nov 1994 08:49:37 +0000'],
  ['lower case', 'sun, 06 nov 1994 08:49:37 gmt'],
  ['one digit of a day', 'Sun, 6 Nov 1994 08:49:37 GMT'],
  ['no such day', 'Thu, 31 Feb 1994 08:49:37 GMT'],
  ['no such hour', 'Sun, 06 Nov 1994 24:00:00 GMT'],
  ['a list', `${exact}, ${exact}`],
  ['a tag', '"{etag}"'],
];

const ifModifiedSince: readonly RangeCase[] = [
  ...earlier.map(([why, date]) => modifiedSince(why, date, whole)),
  ...notEarlier.map(([why, date]) => modifiedSince(why, date, notModified)),
  ...noDates.map(([why, date]) => modifiedSince(why, date, whole)),
];

const ifUnmodifiedSince: readonly RangeCase[] = [
  ...earlier.map(([why, date]) => unmodifiedSince(why, date, failed)),
  ...notEarlier.map(([why, date]) => unmodifiedSince(why, date, whole)),
  ...noDates.map(([why, date]) => unmodifiedSince(why, date, whole)),
];

function modifiedSince(why: string, date: string, expected: Expected): RangeCase {
  return [`RFC 9110 13.1.3, ${why}`, 'GET go.txt', [`If-Modified-Since: ${date}`], expected];
}

function unmodifiedSince(why: string, date: string, expected: Expected): RangeCase {
  return [`RFC 9110 13.1.4, ${why}`, 'GET go.txt', [`If-Unmodified-Since: ${date}`], expected];
}

const fractions: readonly RangeCase[] = [
  ['RFC 9110 8.8.2, whole seconds', 'GET fraction.bin', [`If-Modified-Since: ${exact}`], notModified],
  ['RFC 9110 8.8.2, whole seconds', 'GET fraction.bin', [`If-Modified-Since: ${before}`], whole],
  ['RFC 9110 8.8.2, whole seconds', 'GET fraction.bin', [`If-Unmodified-Since: ${exact}`], whole],
  ['RFC 9110 8.8.2, whole seconds', 'GET fraction.bin', [`If-Unmodified-Since: ${before}`], failed],
  ['RFC 9110 8.8.1, a tag of its own', 'GET fraction.bin', ['If-None-Match: "{etag}"'], notModified],
  ['RFC 9110 8.8.2.1, a date to come', 'GET future.bin', [`If-Modified-Since: ${exact}`], whole],
  ['RFC 9110 8.8.2.1, a date to come', 'GET future.bin', [`If-Unmodified-Since: ${exact}`], failed],
  ['RFC 9110 8.8.2.1, a date to come', 'GET future.bin', ['If-None-Match: "{etag}"'], notModified],
];

const beyond = 'Range: bytes=1000-';
const someOf = 'Range: bytes=0-8';
const some = single('bytes 0-8/1000');
const none = unsatisfiable('bytes */1000');

const precedence: readonly RangeCase[] = (
  [
    ['If-Match before If-Unmodified-Since', ['If-Match: "{etag}"', `If-Unmodified-Since: ${before}`], whole],
    ['If-Match before If-Unmodified-Since', ['If-Match: "other"', `If-Unmodified-Since: ${after}`], failed],
    ['If-None-Match before If-Modified-Since', ['If-None-Match: "other"', `If-Modified-Since: ${after}`], whole],
    [
      'If-None-Match before If-Modified-Since',
      ['If-None-Match: "{etag}"', `If-Modified-Since: ${before}`],
      notModified,
    ],
    ['If-Match, then If-None-Match', ['If-Match: "{etag}"', 'If-None-Match: "{etag}"'], notModified],
    ['If-Match, then If-None-Match', ['If-Match: "other"', 'If-None-Match: "{etag}"'], failed],
    ['If-Match, then If-None-Match', ['If-Match: "{etag}"', 'If-None-Match: "other"'], whole],
    ['If-Match, then If-Modified-Since', ['If-Match: *', `If-Modified-Since: ${exact}`], notModified],
    ['If-Match, then If-Modified-Since', ['If-Match: "other"', `If-Modified-Since: ${exact}`], failed],
    ['If-Unmodified-Since, then If-None-Match', [`If-Unmodified-Since: ${exact}`, 'If-None-Match: *'], notModified],
    ['If-Unmodified-Since, then If-None-Match', [`If-Unmodified-Since: ${before}`, 'If-None-Match: *'], failed],
    [
      'If-Unmodified-Since, then If-Modified-Since',
      [`If-Unmodified-Since: ${exact}`, `If-Modified-Since: ${exact}`],
      notModified,
    ],
    ['junk in If-Unmodified-Since', ['If-Unmodified-Since: junk', 'If-None-Match: "{etag}"'], notModified],
    ['junk in If-Modified-Since', ['If-None-Match: "other"', 'If-Modified-Since: junk', someOf], some],
    ['If-Match, then Range', ['If-Match: "{etag}"', someOf], some],
    ['If-Match, then Range', ['If-Match: "other"', someOf], failed],
    ['If-Match, then Range', ['If-Match: "other"', beyond], failed],
    ['If-Match, then Range', ['If-Match: "{etag}"', beyond], none],
    ['If-Unmodified-Since, then Range', [`If-Unmodified-Since: ${exact}`, someOf], some],
    ['If-Unmodified-Since, then Range', [`If-Unmodified-Since: ${before}`, someOf], failed],
    ['If-None-Match, then Range', ['If-None-Match: "{etag}"', someOf], notModified],
    ['If-None-Match, then Range', ['If-None-Match: "{etag}"', beyond], notModified],
    ['If-None-Match, then Range', ['If-None-Match: "other"', someOf], some],
    ['If-None-Match, then Range', ['If-None-Match: "other"', beyond], none],
    ['If-None-Match, then Range', ['If-None-Match: "{etag}"', 'Range: bytes=x'], notModified],
    ['If-Modified-Since, then Range', [`If-Modified-Since: ${exact}`, someOf], notModified],
    ['If-Modified-Since, then Range', [`If-Modified-Since: ${before}`, someOf], some],
    ['If-Modified-Since, then Range', [`If-Modified-Since: ${before}`, beyond], none],
    ['If-None-Match before If-Range', ['If-None-Match: "{etag}"', someOf, 'If-Range: "{etag}"'], notModified],
    ['If-None-Match before If-Range', ['If-None-Match: "other"', someOf, 'If-Range: "{etag}"'], some],
    ['If-None-Match before If-Range', ['If-None-Match: "other"', someOf, 'If-Range: "other"'], whole],
    ['If-Match before If-Range', ['If-Match: "other"', someOf, 'If-Range: "{etag}"'], failed],
    ['If-Match before If-Range', ['If-Match: "{etag}"', someOf, `If-Range: ${exact}`], some],
    [
      'all of them',
      [
        'If-Match: "{etag}"',
        `If-Unmodified-Since: ${before}`,
        'If-None-Match: "other"',
        `If-Modified-Since: ${after}`,
        someOf,
        'If-Range: "{etag}"',
      ],
      some,
    ],
  ] as const
).map(([why, fields, expected]) => [`RFC 9110 13.2.2, ${why}`, 'GET nginx.bin', fields, expected]);

const heads: readonly RangeCase[] = [
  ['Go TestServeContent, HEAD is GET without a body', 'HEAD nginx.bin', [], whole],
  ['Go TestServeContent, HEAD is GET without a body', 'HEAD go.txt', [], whole],
  ['RFC 9110 9.3.2, empty', 'HEAD empty.bin', [], whole],
  ['RFC 9110 9.3.2, large', 'HEAD large.json', [], whole],
  ['RFC 9110 14.2, Range on HEAD', 'HEAD nginx.bin', [someOf], whole],
  ['RFC 9110 14.2, Range on HEAD, several', 'HEAD nginx.bin', ['Range: bytes=0-8,20-29'], whole],
  ['RFC 9110 14.2, Range on HEAD, beyond the end', 'HEAD nginx.bin', [beyond], whole],
  ['RFC 9110 14.2, Range on HEAD, empty', 'HEAD empty.bin', ['Range: bytes=0-'], whole],
  ['RFC 9110 14.2, Range on HEAD, malformed', 'HEAD nginx.bin', ['Range: bytes=x'], whole],
  ['RFC 9110 14.2, Range and If-Range on HEAD', 'HEAD nginx.bin', [someOf, 'If-Range: "{etag}"'], whole],
  ['RFC 9110 13.1.1, HEAD', 'HEAD nginx.bin', ['If-Match: "{etag}"'], whole],
  ['RFC 9110 13.1.1, HEAD', 'HEAD nginx.bin', ['If-Match: "other"'], failed],
  ['RFC 9110 13.1.2, HEAD', 'HEAD nginx.bin', ['If-None-Match: W/"{etag}"'], notModified],
  ['RFC 9110 13.1.2, HEAD', 'HEAD nginx.bin', ['If-None-Match: *'], notModified],
  ['RFC 9110 13.1.2, HEAD', 'HEAD nginx.bin', ['If-None-Match: "other"'], whole],
  ['RFC 9110 13.1.3, HEAD', 'HEAD nginx.bin', [`If-Modified-Since: ${exact}`], notModified],
  ['RFC 9110 13.1.3, HEAD', 'HEAD nginx.bin', [`If-Modified-Since: ${before}`], whole],
  ['RFC 9110 13.1.4, HEAD', 'HEAD nginx.bin', [`If-Unmodified-Since: ${exact}`], whole],
  ['RFC 9110 13.1.4, HEAD', 'HEAD nginx.bin', [`If-Unmodified-Since: ${before}`], failed],
  ['RFC 9110 13.2.2, HEAD with Range', 'HEAD nginx.bin', ['If-None-Match: "{etag}"', beyond], notModified],
  ['RFC 9110 13.2.2, HEAD with Range', 'HEAD nginx.bin', ['If-Match: "other"', beyond], failed],
];

/** The table. */
export const rangeCases: readonly RangeCase[] = [
  ...singleRanges,
  ...multipleRanges,
  ...malformedRanges,
  ...ignoredRanges,
  ...unsatisfiableRanges,
  ...ifRange,
  ...ifRangeOfOtherKinds,
  ...ifMatch,
  ...ifNoneMatch,
  ...severalLines,
  ...ifModifiedSince,
  ...ifUnmodifiedSince,
  ...fractions,
  ...precedence,
  ...heads,
];

/** First and last byte, and the size, that a Content-Range tells. */
export function readContentRange(text: string): {
  readonly first: number;
  readonly last: number;
  readonly size: number;
} {
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text) ?? [];
  assert.ok(first !== undefined, `${JSON.stringify(text)} is a Content-Range`);
  return { first: Number(first), last: Number(last), size: Number(size) };
}

/** One part of a multipart body. */
export type RangePart = { readonly contentType: string; readonly contentRange: string; readonly body: Buffer };

/** Takes a `multipart/byteranges` body apart (RFC 9110 14.6); each part must be as long as its Content-Range tells. */
export function readParts(contentType: string, body: Buffer): RangePart[] {
  assert.match(contentType, /^multipart\/byteranges; boundary=[0-9A-Za-z'()+_,./:=?-]{1,70}$/);
  assert.equal(body.toString('latin1', 0, 4), '\r\n--', 'a line break stands before the first delimiter');
  return parseMultipart(contentType, body).map(readPart);
}

function readPart({ fields, body }: Part): RangePart {
  assert.deepEqual([...fields.keys()].sort(), ['content-range', 'content-type'], 'the fields of a part');
  const contentRange = fields.get('content-range') ?? '';
  const { first, last } = readContentRange(contentRange);
  assert.equal(body.length, last - first + 1, `the part of ${contentRange}`);
  return { contentType: fields.get('content-type') ?? '', contentRange, body };
}
