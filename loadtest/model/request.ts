/** What is sent for an ask, and what its answer must be: the same for every client. @module */
import type { Fault, Job } from '../clients/job.ts';
import type { Ask } from './patterns.ts';

/** The path of a region, by its number. */
export function pathOf({ path }: Pick<Job, 'path'>, region: number): string {
  return path.replace('*', regionNumber(region));
}

/** How the number of a region is written in its name. */
export function regionNumber(region: number): string {
  return String(region).padStart(5, '0');
}

/** The field that shows a bearer token; none without one. */
export function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Fields beside Host, in lower case. `number` is the request's own. */
export function fieldsOf(job: Job, ask: Ask, number: number): Record<string, string> {
  const { tokens, etags, scenario } = job;
  const tag = etags[ask.region];
  return {
    ...(scenario.fields === 'own' && { 'x-request-id': number.toString(16).padStart(32, '0') }),
    ...authorization(tokens[number % Math.max(1, tokens.length)]),
    ...(ask.range !== undefined && { range: ask.range }),
    ...(ask.ifRange !== undefined && { 'if-range': ask.ifRange }),
    ...(tag !== undefined && { 'if-none-match': tag }),
  };
}

/** A head as text, without the blank line that ends it. */
export function headText(job: Job, ask: Ask, number: number): string {
  const { method = 'GET', kept } = job.scenario;
  const fields = Object.entries({ host: job.host, ...fieldsOf(job, ask, number) });
  const version = kept === 'HTTP/1.0' ? kept : 'HTTP/1.1';
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${pathOf(job, ask.region)} ${version}\r\n${lines.join('')}`;
}

/** What must come back. */
export type Expected = {
  readonly status: number;
  /** The Content-Length; undefined: any, or none. */
  readonly length?: number;
  /** Of the body; undefined for several ranges, which only the answer's own length tells. */
  readonly bodyBytes?: number;
  /** The Content-Range; undefined for none. */
  readonly contentRange?: string;
};

/** @see Expected */
export function expectedOf({ scenario, regionBytes }: Job, { range, spans }: Ask): Expected {
  if (scenario.conditional) return { status: 304, bodyBytes: 0 };
  const [[first, last] = [0, -1]] = spans;
  const length = last - first + 1;
  if (range === undefined) return { status: 200, length, bodyBytes: scenario.method === 'HEAD' ? 0 : length };
  if (spans.length > 1) return { status: 206 };
  return { status: 206, length, bodyBytes: length, contentRange: `bytes ${first}-${last}/${regionBytes}` };
}

/** A head as a client has received it. */
export type Head = { readonly status: number; readonly field: (lowerCaseName: string) => string | undefined };

/** What is wrong with it; undefined when it is right. */
export function wrongHead(job: Job, ask: Ask, { status, field }: Head): Omit<Fault, 'request'> | undefined {
  const expected = expectedOf(job, ask);
  if (status !== expected.status) return { kind: 'wrong-status', detail: `status ${status}, not ${expected.status}` };
  const length = field('content-length');
  if (expected.bodyBytes === undefined) return wrongMultipart(field, length);
  if (expected.length !== undefined && length !== String(expected.length)) {
    return wrong('Content-Length', length, String(expected.length));
  }
  const range = field('content-range');
  return range === expected.contentRange ? undefined : wrong('Content-Range', range, expected.contentRange);
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
export function requestInWords(job: Job, ask: Ask): string {
  const range = ask.range === undefined ? '' : `, Range: ${ask.range}`;
  const condition = ask.ifRange === undefined ? '' : `, If-Range: ${ask.ifRange}`;
  return `${job.scenario.method ?? 'GET'} ${pathOf(job, ask.region)}${range}${condition}`;
}
