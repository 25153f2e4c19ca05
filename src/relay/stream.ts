/** The portable engine's reading: the same bytes, copied, and held like any other. @module */
import type { Segment } from './extent.ts';
import type { Pace } from './pace.ts';
import type { Generation, Outcome, Relay, TransmissionId } from './relay.ts';

/** Bytes read at a time; the size of a createReadStream chunk. */
const chunkBytes = 64 * 1024;

/** The file became shorter than the body that was promised. */
export class EndedShort extends Error {
  override readonly name = 'EndedShort';
  readonly code = 'ENODATA';
}

/** The reader took nothing for the longest time that pages may be held. */
export class Stalled extends Error {
  override readonly name = 'Stalled';
  readonly code = 'ETIMEDOUT';
}

/** A writer has waited long enough for the pages. */
export class Unwanted extends Error {
  override readonly name = 'Unwanted';
  readonly code = 'EBUSY';
}

/**
 * Reads the body of a held transmission, giving back the pages of what is read.
 *
 * @param onBytes is told of every chunk
 * @param pace what the bytes go out of; undefined: as fast as they are read
 * @throws EndedShort, and what reading throws
 */
export async function* readSegments(
  relay: Relay,
  generation: Generation,
  transmission: TransmissionId,
  segments: readonly Segment[],
  onBytes: (bytes: number) => void,
  pace?: Pace,
): AsyncGenerator<Uint8Array> {
  for (const segment of segments) {
    const chunks =
      typeof segment === 'string' ? [Buffer.from(segment, 'latin1')] : readExtent(relay, generation, segment, pace);
    for await (const chunk of chunks) {
      pace?.sent(chunk.length);
      relay.advance(transmission, chunk.length);
      onBytes(chunk.length);
      yield chunk;
    }
  }
}

async function* readExtent(
  relay: Relay,
  generation: Generation,
  extent: { offset: number; length: number },
  pace: Pace | undefined,
) {
  for (let read = 0; read < extent.length; ) {
    await pace?.ready();
    const buffer = Buffer.allocUnsafe(Math.min(pace?.atOnce ?? chunkBytes, extent.length - read));
    const bytes = await relay.read(generation, buffer, extent.offset + read);
    if (bytes === 0) throw new EndedShort('the file became shorter');
    read += bytes;
    yield buffer.subarray(0, bytes);
  }
}

/** How a stream of a transmission ended. */
export function streamEnd(error: Error | null, ended: boolean): { outcome: Outcome; code: string | undefined } {
  if (ended && !error) return { outcome: 'complete', code: undefined };
  if (error instanceof EndedShort) return { outcome: 'truncated', code: error.code };
  if (error instanceof Unwanted) return { outcome: 'broken', code: error.code };
  if (error instanceof Stalled) return { outcome: 'stalled', code: error.code };
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const failed = error instanceof Error && code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ABORT_ERR';
  return { outcome: failed ? 'failed' : 'aborted', code };
}
