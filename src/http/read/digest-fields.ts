import { createHash, type Hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Dictionary, parseDictionary } from 'structured-headers';
import { ProblemError } from '../problem/problems.ts';

const digestFields = ['content-digest', 'repr-digest'] as const;
// RFC 9530 5: the algorithms of its registry that are still to be used, and the length of their values in bytes.
const algorithms = { 'sha-256': { hash: 'sha256', length: 32 }, 'sha-512': { hash: 'sha512', length: 64 } } as const;
const algorithmNames = ['sha-256', 'sha-512'] as const;

/** What a request says a digest of its body is (RFC 9530 2, 3). */
export type GivenDigest = {
  readonly field: (typeof digestFields)[number];
  readonly algorithm: keyof typeof algorithms;
  /** 32 or 64 bytes, as the algorithm has them. */
  readonly value: Buffer;
};

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

/**
 * Reads Content-Digest and Repr-Digest of a request (RFC 9530 2, 3). Algorithms other than SHA-256 and SHA-512 are passed
 * over (RFC 9530 2: a recipient may ignore any). Whether a body is the whole representation, so that both fields speak of
 * the same bytes, is the caller's to know.
 *
 * @throws ProblemError `digest-malformed` for a field that is no dictionary (RFC 9651 3.2), and for one of the two
 * algorithms with what is no byte sequence of its length
 */
export function givenDigests(headers: IncomingHttpHeaders): readonly GivenDigest[] {
  return digestFields.flatMap((field) => {
    const text = headers[field];
    return typeof text === 'string' ? digestsOf(field, parseField(field, text)) : [];
  });
}

function parseField(field: GivenDigest['field'], text: string): Dictionary {
  try {
    return parseDictionary(text);
  } catch (cause) {
    throw new ProblemError('digest-malformed', { detail: `${field} is no dictionary.`, cause });
  }
}

function digestsOf(field: GivenDigest['field'], dictionary: Dictionary): GivenDigest[] {
  return algorithmNames.flatMap((algorithm) => {
    const [value] = dictionary.get(algorithm) ?? [];
    if (value === undefined) return [];
    const { length } = algorithms[algorithm];
    if (value instanceof ArrayBuffer && value.byteLength === length) {
      return [{ field, algorithm, value: Buffer.from(value) }];
    }
    const detail = `${algorithm} in ${field} is no byte sequence of ${length} bytes.`;
    throw new ProblemError('digest-malformed', { detail });
  });
}

/** Checks digests while the bytes that they are of go by. Each algorithm is computed once; none that is not given. */
export class DigestCheck {
  readonly #given: readonly GivenDigest[];
  readonly #hashes: ReadonlyMap<GivenDigest['algorithm'], Hash>;

  constructor(given: readonly GivenDigest[]) {
    this.#given = given;
    const named = new Set(given.map(({ algorithm }) => algorithm));
    this.#hashes = new Map([...named].map((algorithm) => [algorithm, createHash(algorithms[algorithm].hash)]));
  }

  /** The next bytes, in order. */
  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
  }

  /**
   * All bytes have gone by. To be called once.
   *
   * @throws ProblemError `digest-mismatch` that names the first field and algorithm that are not kept
   */
  finish(): void {
    const computed = new Map([...this.#hashes].map(([algorithm, hash]) => [algorithm, hash.digest()]));
    const wrong = this.#given.find(({ algorithm, value }) => !computed.get(algorithm)?.equals(value));
    if (wrong === undefined) return;
    const detail = `The body's ${wrong.algorithm} is not the one in ${wrong.field}.`;
    throw new ProblemError('digest-mismatch', { detail });
  }
}
