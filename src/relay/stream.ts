/** The portable engine: the same bytes through an ordinary stream, copied, and held like any other. @module */
import { Readable } from 'node:stream';
import type { Extent } from '../range/plan.ts';
import type { Generation, Outcome, Relay, TransmissionId } from './relay.ts';
import type { Sent } from './send.ts';

/** Bytes read at a time; the size of a createReadStream chunk. */
const chunkBytes = 64 * 1024;

class EndedShort extends Error {
  override readonly name = 'EndedShort';
  readonly code = 'ENODATA';
}

class Stalled extends Error {
  override readonly name = 'Stalled';
  readonly code = 'ETIMEDOUT';
}

/** A body as a stream, and how it went: `sent` settles when its reference is gone. Never rejects. */
export type HeldStream = { readonly body: Readable; readonly sent: Promise<Sent> };

/**
 * Reads a held transmission as a stream. A file that ends early, or a reader that takes nothing for `maxHold` seconds,
 * destroys the stream, which makes Node break off the connection.
 */
export function streamHeld(
  relay: Relay,
  generation: Generation,
  transmission: TransmissionId,
  extents: readonly Extent[],
  maxHold: number,
): HeldStream {
  const stall = setTimeout(() => body.destroy(new Stalled('nothing was read')), maxHold * 1000);
  const body = Readable.from(
    readExtents(relay, generation, transmission, extents, () => stall.refresh()),
    {
      objectMode: false,
      highWaterMark: chunkBytes,
    },
  );
  const sent = new Promise<Sent>((resolve) => {
    body.once('close', () => {
      clearTimeout(stall);
      const end = endOf(body);
      relay.release(transmission, end.outcome);
      resolve(end);
    });
  });
  return { body, sent };
}

async function* readExtents(
  relay: Relay,
  generation: Generation,
  transmission: TransmissionId,
  extents: readonly Extent[],
  onProgress: () => void,
): AsyncGenerator<Uint8Array> {
  for (const extent of extents) {
    let read = 0;
    while (read < extent.length) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, extent.length - read));
      const bytes = await relay.read(generation, buffer, extent.offset + read);
      if (bytes === 0) throw new EndedShort('the file became shorter');
      relay.advance(transmission, bytes);
      onProgress();
      yield buffer.subarray(0, bytes);
      read += bytes;
    }
  }
}

function endOf(body: Readable): Sent {
  if (body.readableEnded) return { outcome: 'complete', code: undefined };
  const code = (body.errored as NodeJS.ErrnoException | null)?.code;
  const outcomes: Record<string, Outcome> = { ENODATA: 'truncated', ETIMEDOUT: 'stalled', ABORT_ERR: 'aborted' };
  if (code === undefined || code === 'ERR_STREAM_PREMATURE_CLOSE') return { outcome: 'aborted', code };
  return { outcome: outcomes[code] ?? 'failed', code };
}
