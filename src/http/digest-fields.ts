import type { IncomingHttpHeaders } from 'node:http';
import { parseDictionary } from 'structured-headers';

/** Whether a request asks for a SHA-256 of the whole (Want-Repr-Digest, RFC 9530 4): a preference above 0. */
export function wantsReprDigest(headers: IncomingHttpHeaders): boolean {
  const field = headers['want-repr-digest'];
  if (typeof field !== 'string') return false;
  try {
    const [preference] = parseDictionary(field).get('sha-256') ?? [];
    return typeof preference === 'number' && preference > 0;
  } catch {
    return false; // What is no dictionary asks for nothing (RFC 9651 1.1).
  }
}

/** The Repr-Digest field (RFC 9530 3), or none. */
export function digestField(sha256: string | undefined): Record<string, string> {
  return sha256 === undefined ? {} : { 'repr-digest': `sha-256=:${sha256}:` };
}
