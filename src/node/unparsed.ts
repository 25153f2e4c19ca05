/** Bytes that connections have sent and their parsers were not given. @module */

/** A connection is not read on while it has sent so many bytes, or more, that wait to be parsed. */
const mostBytes = 64 * 1024;

/** And not while these came in so many pieces, each of which costs memory of its own. */
const mostPieces = 64;

const endOfHead = Buffer.from('\r\n\r\n');

let inAll = 0;

/** Those of all connections of the process. */
export function bytesInAll(): number {
  return inAll;
}

/** Those of one connection, in the pieces that they came in. */
export class Unparsed {
  #pieces: Buffer[] = [];
  #length = 0;
  /** Of what was taken last, the bytes that could begin the end of a head. */
  #tail = '';

  get length(): number {
    return this.#length;
  }

  /** Whether no more is to be read. */
  get isMuch(): boolean {
    return this.#length >= mostBytes || this.#pieces.length >= mostPieces;
  }

  /** Whether with this piece there would be one head, and nothing else. */
  wouldBeOneHead(piece: Buffer): boolean {
    const end = piece.length - endOfHead.length;
    return this.#length === 0 && this.#tail === '' && piece.indexOf(endOfHead) === end && end > 0;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#grow(piece.length);
  }

  takeAll(): Buffer[] {
    const pieces = this.#pieces;
    this.clear();
    return pieces;
  }

  clear(): void {
    this.#grow(-this.#length);
    this.#pieces = [];
  }

  /**
   * Takes no more than one request: up to the end of a head, or of a body.
   *
   * @param bodyLeft bytes of a body that come first; 0 where none do, or only the parser finds its end
   */
  take(bodyLeft: number): Buffer {
    const first = this.#pieces.shift() ?? Buffer.alloc(0);
    const length = bodyLeft > 0 ? Math.min(bodyLeft, first.length) : this.#upToHead(first);
    if (bodyLeft > 0) this.#tail = '';
    this.#grow(-length);
    if (length === first.length) return first; // Most requests come in one piece.
    this.#pieces.unshift(first.subarray(length));
    return first.subarray(0, length);
  }

  #grow(bytes: number): void {
    this.#length += bytes;
    inAll += bytes;
  }

  // A body in chunks ends by the same bytes (RFC 9112 7.1).
  #upToHead(piece: Buffer): number {
    const end = endIn(this.#tail, piece);
    this.#tail =
      end === undefined ? (this.#tail + piece.toString('latin1', Math.max(0, piece.length - 3))).slice(-3) : '';
    return end ?? piece.length;
  }
}

// Behind the end of a head, which may have begun in what came before.
function endIn(tail: string, piece: Buffer): number | undefined {
  if (tail !== '') {
    const across = (tail + piece.toString('latin1', 0, endOfHead.length - 1)).indexOf(endOfHead.toString());
    if (across >= 0) return across + endOfHead.length - tail.length;
  }
  const at = piece.indexOf(endOfHead);
  return at < 0 ? undefined : at + endOfHead.length;
}
