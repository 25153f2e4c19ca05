import { createHash, timingSafeEqual } from 'node:crypto';
import { type BigIntStats, readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';

// RFC 6750 2.1: b64token.
const tokenSyntax = /^[A-Za-z0-9._~+/-]+=*$/;
// RFC 9110 11.1: the scheme's name is case-insensitive. RFC 6750 2.1: one or more spaces follow.
const credentials = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;
const lookEvery = 1000; // milliseconds

/** What became of a token file that had changed. */
export type TokenChange = {
  /** Why no token is valid now; absent when the file was read. */
  readonly error?: TokenFileError;
};

/** A token file that can't be used. The message names it and what is wrong, never a token. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
  readonly code = 'token-file';
}

/** The bearer tokens (RFC 6750) of a file, read again within about a second of each change. */
export class Tokens {
  readonly #path: string;
  readonly #listeners: ((change: TokenChange) => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #hashes: readonly Buffer[];
  #stamp: string | undefined;
  #trouble: string | undefined;
  #looking = false;

  /**
   * Reads a token file: one token a line; blank lines and lines that begin with `#` count for nothing.
   *
   * @throws TokenFileError
   */
  static fromFile(path: string): Tokens {
    try {
      // The stamp first: of a change between the two, the next look then sees that there was one.
      const stamp = stampOf(statSync(path, { bigint: true }));
      return new Tokens(path, stamp, hashesOf(path, readFileSync(path, 'utf8')));
    } catch (error) {
      throw tokenFileError(path, error);
    }
  }

  private constructor(path: string, stamp: string, hashes: readonly Buffer[]) {
    this.#path = path;
    this.#stamp = stamp;
    this.#hashes = hashes;
    this.#timer = setInterval(() => this.#look(), lookEvery).unref();
  }

  /**
   * Whether an Authorization field has one of the tokens. How long that takes says nothing about the tokens: hashes are
   * compared, whole, with each.
   */
  accepts(authorization: string | undefined): boolean {
    return isAmong(this.#hashes, authorization);
  }

  /**
   * Calls `listener` whenever the file was read again, after the tokens are the new ones; of the same failure in a row it
   * is told once.
   */
  onChange(listener: (change: TokenChange) => void): void {
    this.#listeners.push(listener);
  }

  /** Reads the file now, changed or not. From a file that can't be read, or breaks the rule, no token is valid. */
  async reload(): Promise<void> {
    const stamp = await stampAt(this.#path);
    const { hashes, error } = await readHashes(this.#path);
    // Together: should two reads overtake each other, the stamp is that of the tokens, and the next look mends it.
    this.#hashes = hashes;
    // After a failure no stamp: it may pass (EMFILE) without a change of the file, so every look tries again.
    this.#stamp = error === undefined ? stamp : undefined;
    const again = error !== undefined && error.message === this.#trouble;
    this.#trouble = error?.message;
    if (again) return;
    const change = error === undefined ? {} : { error };
    for (const listener of this.#listeners) listener(change);
  }

  /** No more looking at the file; the tokens stay as they are. */
  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return; // A slow file system, with the look before this one still on its way.
    this.#looking = true;
    try {
      const stamp = await stampAt(this.#path);
      if (stamp === undefined || stamp !== this.#stamp) await this.reload();
    } finally {
      this.#looking = false;
    }
  }
}

async function readHashes(path: string): Promise<{ hashes: readonly Buffer[]; error?: TokenFileError }> {
  try {
    return { hashes: hashesOf(path, await readFile(path, 'utf8')) };
  } catch (error) {
    return { hashes: [], error: tokenFileError(path, error) };
  }
}

function tokenFileError(path: string, error: unknown): TokenFileError {
  if (error instanceof TokenFileError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new TokenFileError(`${path} can not be read: ${reason}`, { cause: error });
}

function hashesOf(path: string, text: string): Buffer[] {
  const tokens = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const wellFormed = tokens.length > 0 && tokens.every((token) => tokenSyntax.test(token));
  if (wellFormed) return tokens.map(hashOf);
  const rule =
    'at least one bearer token, one a line, of the characters A-Z a-z 0-9 - . _ ~ + / and then = (RFC 6750 2.1)';
  throw new TokenFileError(`${path} must hold ${rule}`);
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/**
 * Tells whether an Authorization field has one of these tokens, taking as long whichever it is.
 *
 * @throws TypeError for what is no bearer token
 */
export function tokenCheck(tokens: readonly string[]): (authorization: string | undefined) => boolean {
  if (!tokens.every((token) => tokenSyntax.test(token)))
    throw new TypeError('a token is no bearer token (RFC 6750 2.1)');
  const hashes = tokens.map(hashOf);
  return (authorization) => isAmong(hashes, authorization);
}

function isAmong(hashes: readonly Buffer[], authorization: string | undefined): boolean {
  const [, token] = credentials.exec(authorization ?? '') ?? [];
  if (token === undefined) return false;
  const hash = hashOf(token);
  return hashes.filter((known) => timingSafeEqual(known, hash)).length > 0;
}

// Undefined for what can't be looked at: reading then says why.
async function stampAt(path: string): Promise<string | undefined> {
  try {
    return stampOf(await stat(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

// The time of its last change of status too: a file that may no longer be read has nothing else changed.
function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}
