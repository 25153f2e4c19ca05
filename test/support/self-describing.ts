/**
 * Pages that say what they are: one record, over and over, that names the page, the writer, and the stamp of the write.
 * A page is uniform when all of its records are the same; all pages of one write carry the same stamp.
 *
 * @module
 */

/** Bytes. */
export const pageSize = 4096;

/** What stands in the place of a stamp for a page that is not uniform, or is another page's. */
export const notUniform = -1;

/** The same for a page of zeros: a hole of the file, or what nobody may see. */
export const zeros = -2;

// A divisor of the page. test/support/narrow-readers.py reads the same record.
const recordSize = 64;
const record = /^page (\d{8}) writer (\d{8}) stamp (\d{10}) /;

/** The bytes of `count` pages from `firstPage`, as one write leaves them. */
export function describePages(firstPage: number, count: number, writer: number, stamp: number): Buffer {
  const bytes = Buffer.alloc(count * pageSize);
  for (let at = 0; at < count; at++) {
    const page = bytes.subarray(at * pageSize, (at + 1) * pageSize);
    page.write(recordOf(firstPage + at, writer, stamp), 'latin1');
    // Copies double: to fill each page by a string takes twice as long.
    for (let filled = recordSize; filled < pageSize; filled *= 2) page.copyWithin(filled, 0, filled);
  }
  return bytes;
}

/** The stamp of a page, or `notUniform`, or `zeros`. */
export function stampOf(bytes: Buffer, page: number): number {
  if (bytes.length !== pageSize || !repeats(bytes)) return notUniform;
  if (bytes[0] === 0) return zeros;
  const [, described, , stamp] = record.exec(bytes.toString('latin1', 0, recordSize)) ?? [];
  return Number(described) === page ? Number(stamp) : notUniform;
}

/** The stamps of all whole pages in bytes that begin with `firstPage`. */
export function stampsOf(bytes: Buffer, firstPage: number): number[] {
  const pages = Math.floor(bytes.length / pageSize);
  return Array.from({ length: pages }, (_, at) =>
    stampOf(bytes.subarray(at * pageSize, (at + 1) * pageSize), firstPage + at),
  );
}

function recordOf(page: number, writer: number, stamp: number): string {
  const digits = (value: number, count: number) => String(value).padStart(count, '0');
  return `page ${digits(page, 8)} writer ${digits(writer, 8)} stamp ${digits(stamp, 10)} `
    .padEnd(recordSize - 1, '.')
    .concat('\n');
}

// Every byte is the one a record before it.
function repeats(bytes: Buffer): boolean {
  return bytes.subarray(recordSize).equals(bytes.subarray(0, bytes.length - recordSize));
}
