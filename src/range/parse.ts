import { limits } from '../limits/limits.ts';
import type { ByteRange } from '../relay/extent.ts';
import { coalesce } from './coalesce.ts';
import { exceeds, saturate } from './digits.ts';

/**
 * What a Range field comes to for a region of a known size. `whole` means that the field is ignored, where it says so
 * because there are too many ranges. `malformed` is a set
 * of byte ranges that breaks the grammar: RFC 9110 14.2 leaves it to the server to ignore or to reject it.
 */
export type RangeVerdict =
  | { readonly kind: 'whole'; readonly because?: 'ranges' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'single'; readonly range: ByteRange }
  | { readonly kind: 'multiple'; readonly ranges: readonly ByteRange[] };

type RangeSpec =
  | { readonly kind: 'interval'; readonly first: number; readonly last: number }
  | { readonly kind: 'suffix'; readonly length: number };

/**
 * Judges a Range field (RFC 9110 14.1.1, 14.1.2, 14.2) against a region of `size` bytes. Coalesces ranges, so that no
 * byte is sent twice, cuts them at the region's end, and never throws. Its time is linear but for sorting.
 *
 * @param most ranges that are answered one by one after coalescing; more are answered by the whole (RFC 9110 14.2)
 * @returns `whole` for no field and for any unit but bytes; `malformed` for byte ranges that break the grammar;
 * `unsatisfiable` for well-formed ranges of which the region holds no byte
 */
export function judgeRange(
  header: string | undefined,
  size: number,
  most: number = limits.maxRanges.fallback,
): RangeVerdict {
  if (header === undefined) return { kind: 'whole' };
  return judgeUsual(header, size) ?? judgeAny(header, size, most);
}

// Nearly all clients ask for both ends of one range within the region. This takes a tenth of the time.
function judgeUsual(header: string, size: number): RangeVerdict | undefined {
  if (!usual.test(header)) return undefined;
  const dash = header.indexOf('-');
  const first = Number(header.slice('bytes='.length, dash));
  const last = Number(header.slice(dash + 1));
  return first <= last && last < size ? { kind: 'single', range: { first, last } } : undefined;
}

const usual = /^bytes=[0-9]{1,15}-[0-9]{1,15}$/;

function judgeAny(header: string, size: number, most: number): RangeVerdict {
  const set = byteRangeSet(header);
  if (set === undefined) return { kind: 'whole' };
  const specs = parseRangeSet(set);
  if (specs === undefined || specs.length === 0) return { kind: 'malformed' };
  const satisfiable = specs.flatMap((spec) => selectBytes(spec, size) ?? []);
  const [range, ...more] = coalesce(satisfiable);
  if (range === undefined) return { kind: 'unsatisfiable' };
  if (more.length === 0) return { kind: 'single', range };
  return more.length < most ? { kind: 'multiple', ranges: [range, ...more] } : { kind: 'whole', because: 'ranges' };
}

// Gives what follows `bytes=`; undefined for another unit, or none.
function byteRangeSet(header: string): string | undefined {
  const unitEnd = 'bytes='.length;
  const field = trimWhitespace(header);
  return field.slice(0, unitEnd).toLowerCase() === 'bytes=' ? field.slice(unitEnd) : undefined;
}

// White space in front of the first range is allowed: RFC 9110 14.1.2 itself writes `bytes= 0-999, 4500-5499, -1000`.
function parseRangeSet(set: string): RangeSpec[] | undefined {
  const specs: RangeSpec[] = [];
  for (const element of set.split(',')) {
    const text = trimWhitespace(element);
    // RFC 9110 5.6.1.2: a recipient must accept empty list elements.
    if (text === '') continue;
    const spec = parseSpec(text);
    // RFC 9110 14.1.1: one invalid range makes the whole set invalid.
    if (spec === undefined) return undefined;
    specs.push(spec);
  }
  return specs;
}

function parseSpec(text: string): RangeSpec | undefined {
  const [, first = '', last = ''] = /^([0-9]*)-([0-9]*)$/.exec(text) ?? [];
  if (first === '') return last === '' ? undefined : { kind: 'suffix', length: saturate(last) };
  if (last === '') return { kind: 'interval', first: saturate(first), last: Number.POSITIVE_INFINITY };
  // RFC 9110 14.1.1: a last position below the first makes the range invalid, not unsatisfiable.
  if (exceeds(first, last)) return undefined;
  return { kind: 'interval', first: saturate(first), last: saturate(last) };
}

function selectBytes(spec: RangeSpec, size: number): ByteRange | undefined {
  if (spec.kind === 'interval') {
    return spec.first < size ? { first: spec.first, last: Math.min(spec.last, size - 1) } : undefined;
  }
  if (spec.length === 0 || size === 0) return undefined;
  // RFC 9110 14.1.2: a suffix longer than the representation selects all of it.
  return { first: Math.max(0, size - spec.length), last: size - 1 };
}

// String.prototype.trim takes more than RFC 9110 5.6.3 allows, and /[ \t]+$/ is quadratic on inner white space.
function trimWhitespace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhitespace(text[start])) start += 1;
  while (end > start && isWhitespace(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isWhitespace(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}
