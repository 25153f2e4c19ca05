/** Requests that a lane may answer when they come again. @module */

/** A head with the value of its Range cut out. */
export type Repeat = {
  readonly request: string;
  /** Where that value was; the head's length when it has no Range. */
  readonly rangeAt: number;
};

const ranges = /\r\nrange:[\t ]*/gi;
const plainRange = /^bytes=(?:\d+-\d*|-\d+)$/; // RFC 9110 14.1.2
const connectionField = /\r\nconnection:([^\r]*)/gi;

/**
 * The request that a head is, but for the range that it asks for.
 *
 * @param head exactly as received, whole, without a body
 * @returns undefined when no other request may be answered like it
 */
export function repeatOf(head: string): Repeat | undefined {
  if (!head.startsWith('GET ') || !keepsConnection(head)) return undefined;
  const [range, another] = head.matchAll(ranges);
  if (another) return undefined;
  if (!range) return { request: head, rangeAt: head.length };
  const from = range.index + range[0].length;
  const to = head.indexOf('\r\n', from);
  if (!plainRange.test(head.slice(from, to))) return undefined;
  return { request: head.slice(0, from) + head.slice(to), rangeAt: from };
}

// What is kept alive anyway may say so: undici and autocannon do, in each request.
function keepsConnection(head: string): boolean {
  const fields = [...head.matchAll(connectionField)];
  return fields.every(([, value = '']) => value.trim().toLowerCase() === 'keep-alive');
}

/**
 * The head of a response to such a request, for a lane to complete: without what depends on the range.
 *
 * @param head as Node would write it
 * @returns undefined when it is not of the kind that a lane can write
 */
export function responseHead(head: string, ranged: boolean): string | undefined {
  if (!head.startsWith(ranged ? 'HTTP/1.1 206 ' : 'HTTP/1.1 200 ')) return undefined;
  if (/\r\n(?:transfer-encoding|trailer):/i.test(head) || /\r\nconnection: close/i.test(head)) return undefined;
  if (!ranged) return head;
  const without = head.replace(/\r\ncontent-length: \d+/i, '').replace(/\r\ncontent-range: bytes \d+-\d+\/\d+/i, '');
  return /\r\ncontent-(?:length|range):/i.test(without) ? undefined : without.slice(0, -'\r\n'.length);
}
