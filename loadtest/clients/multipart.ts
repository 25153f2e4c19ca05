/** Reads multipart/byteranges (RFC 9110 14.6), strictly. @module */
import type { Span } from '../model/patterns.ts';

/** A part: what its Content-Range says, and its bytes. */
export type Part = { readonly span: Span; readonly bytes: Buffer };

/** @throws Error that says what is wrong */
export function readMultipart(contentType: string, body: Buffer, regionBytes: number): Part[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1] ?? '';
  const parts: Part[] = [];
  let at = body.subarray(0, 2).toString('latin1') === '\r\n' ? 2 : 0;
  for (;;) {
    at = after(body, at, `--${boundary}`);
    if (body.subarray(at, at + 2).toString('latin1') === '--') return parts;
    const head = body.indexOf('\r\n\r\n', at);
    if (head < 0) throw new Error('a part without a body');
    const span = spanOf(body.toString('latin1', at, head), regionBytes);
    const first = head + 4;
    at = first + span[1] - span[0] + 1;
    parts.push({ span, bytes: body.subarray(first, at) });
    at = after(body, at, '\r\n');
  }
}

function after(body: Buffer, at: number, expected: string): number {
  const found = body.toString('latin1', at, at + expected.length);
  if (found !== expected)
    throw new Error(`${JSON.stringify(found)} where ${JSON.stringify(expected)} should be, at ${at}`);
  return at + expected.length;
}

function spanOf(head: string, regionBytes: number): Span {
  const [, first, last, size] = /^content-range:\s*bytes (\d+)-(\d+)\/(\d+)\s*$/im.exec(head) ?? [];
  if (Number(size) !== regionBytes) throw new Error(`a part with the head ${JSON.stringify(head)}`);
  return [Number(first), Number(last)];
}
