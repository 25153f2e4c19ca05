/**
 * Content that says when it was written: every line of a block names its page and the write. A block that is read is
 * right when all of it is what one single write made. @module
 */
const pageBytes = 4096;
const lineBytes = 64;

/** The bytes that one write, by its number, puts at an offset. Both offset and length are whole pages. */
export function stampedBytes(first: number, bytes: number, stamp: number): Buffer {
  const block = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += pageBytes) {
    const line = `page ${(first + at) / pageBytes} stamp ${stamp} `.padEnd(lineBytes - 1, '.');
    block.fill(`${line}\n`, at, at + pageBytes);
  }
  return block;
}

/** The number of the write that a block says it is of; undefined when it says nothing. */
export function stampOf(block: Buffer): number | undefined {
  const stamp = /^page \d+ stamp (\d+) /.exec(block.toString('latin1', 0, lineBytes))?.[1];
  return stamp === undefined ? undefined : Number(stamp);
}
