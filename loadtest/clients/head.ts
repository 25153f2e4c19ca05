/** What the head of an answer must say. @module */
import type { Ask } from '../scenarios/patterns.ts';
import type { Fault } from './job.ts';

/** A head as a client has received it. */
export type Head = { readonly status: number; readonly field: (lowerCaseName: string) => string | undefined };

/** What is wrong with it; undefined when it is right. */
export function wrongHead(ask: Ask, regionBytes: number, { status, field }: Head): Omit<Fault, 'request'> | undefined {
  const expected = ask.range === undefined ? 200 : 206;
  if (status !== expected) return { kind: 'wrong-status', detail: `status ${status}, not ${expected}` };
  const length = field('content-length');
  if (ask.spans.length > 1) return wrongMultipart(field, length);
  const [[first, last] = [0, -1]] = ask.spans;
  if (length !== String(last - first + 1)) return wrong('Content-Length', length, String(last - first + 1));
  const range = field('content-range');
  const wanted = ask.range === undefined ? undefined : `bytes ${first}-${last}/${regionBytes}`;
  return range === wanted ? undefined : wrong('Content-Range', range, wanted);
}

function wrongMultipart(field: Head['field'], length: string | undefined): Omit<Fault, 'request'> | undefined {
  const type = field('content-type');
  if (!/^multipart\/byteranges;\s*boundary=/i.test(type ?? '')) {
    return wrong('Content-Type', type, 'multipart/byteranges with a boundary');
  }
  return length === undefined ? wrong('Content-Length', length, 'a number') : undefined;
}

function wrong(field: string, is: string | undefined, expected: string | undefined): Omit<Fault, 'request'> {
  const say = (value: string | undefined) => (value === undefined ? 'missing' : `"${value}"`);
  return { kind: 'wrong-header', detail: `${field} is ${say(is)}, not ${say(expected)}` };
}

/** A request in words. */
export function requestInWords(path: string, ask: Ask): string {
  const range = ask.range === undefined ? '' : `, Range: ${ask.range}`;
  return `GET ${path}${range}${ask.ifRange === undefined ? '' : `, If-Range: ${ask.ifRange}`}`;
}
