import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { OutgoingBody } from '../../observe/access-log.ts';
import type { Trace } from '../../observe/tracing.ts';
import type { Plan } from '../../range/plan.ts';
import type { Pace } from '../../relay/pace.ts';
import type { Engine, JudgedContent, Relay, Sent, TransmissionId } from '../../relay/relay.ts';
import { readSegments, Stalled, streamEnd, Unwanted } from '../../relay/stream.ts';
import type { WayOut } from './way-out.ts';

const http = process.getBuiltinModule('node:http');

/** A body whose pages are held. */
export type HeldBody = {
  readonly relay: Relay;
  readonly content: JudgedContent;
  readonly plan: Plan;
  readonly transmission: TransmissionId;
  /** Where it may go natively; undefined where the portable engine serves. */
  readonly connection: WayOut | undefined;
  readonly engine: Engine;
  /** Seconds. */
  readonly maxHold: number;
  /** What it goes out of where it is read here; undefined: as fast as it is read. */
  readonly pace?: Pace | undefined;
  /** Undefined where nobody listens. */
  readonly trace: Trace | undefined;
};

/**
 * A region's bytes as the payload of a reply. Piped straight into the response of its own connection, as Fastify does
 * when every onSend hook has left it alone, the bytes go out natively; read or piped in any other way it is an
 * ordinary stream.
 */
export class RegionBody extends Readable implements OutgoingBody {
  /** Settles when the last byte is with the socket or never will be. Never rejects. */
  readonly sent: Promise<Sent>;
  readonly #held: HeldBody;
  readonly #settle: (sent: Sent) => void;
  #native = false;
  #source: AsyncGenerator<Uint8Array> | undefined;
  #stall: NodeJS.Timeout | undefined;
  #copied = 0;

  constructor(held: HeldBody) {
    super({ highWaterMark: 0 });
    const { promise, resolve } = Promise.withResolvers<Sent>();
    this.sent = promise;
    this.#settle = resolve;
    this.#held = held;
    held.relay.onUnwanted(held.transmission, () => this.destroy(new Unwanted('a writer has waited long enough')));
  }

  /** How the bytes go out, as far as is known by now. */
  get engine(): Engine {
    return this.#source ? 'stream' : this.#held.engine;
  }

  override pipe<Destination extends NodeJS.WritableStream>(destination: Destination, options?: { end?: boolean }) {
    const { connection } = this.#held;
    const direct = connection && !this.#source && options?.end !== false && this.#isFramedAsPlanned(destination);
    if (!direct || !connection.carries(destination)) return super.pipe(destination, options);
    this.#native = true;
    void this.#sendNatively(connection, destination);
    return destination;
  }

  // A hook may have taken the Content-Length away or asked for a trailer: then Node frames the body, in chunks. One that
  // has given another length is wrong, and would mix this body with the next response.
  #isFramedAsPlanned(destination: unknown): destination is ServerResponse {
    if (!(destination instanceof http.ServerResponse) || destination.headersSent) return false;
    if (!destination.hasHeader('content-length') || destination.hasHeader('transfer-encoding')) return false;
    destination.setHeader('content-length', this.#held.plan.length);
    return true;
  }

  async #sendNatively(connection: WayOut, response: ServerResponse): Promise<void> {
    const sent = await connection.answer(response, this.#held);
    this.#settle(sent);
    if (sent.outcome !== 'complete') {
      this.destroy();
      return;
    }
    this.push(null); // Those who wait for the end of the payload hear of it.
    this.resume();
  }

  override _read(): void {
    if (this.#native) return;
    this.#source ??= this.#startReading();
    this.#source.next().then(
      ({ value, done }) => this.push(done ? null : value),
      (error: Error) => this.destroy(error),
    );
  }

  #startReading(): AsyncGenerator<Uint8Array> {
    const { relay, content, plan, transmission, maxHold, pace, trace } = this.#held;
    relay.changeToStream(transmission);
    trace?.sending('stream');
    this.#stall = setTimeout(() => {
      if (pace?.isWaiting) this.#stall?.refresh();
      else this.destroy(new Stalled('nothing was read'));
    }, maxHold * 1000);
    const onBytes = (bytes: number) => {
      this.#copied += bytes;
      this.#stall?.refresh();
    };
    return readSegments(relay, content.generation, transmission, plan.segments, onBytes, pace);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#stall);
    if (!this.#native) {
      const sent = { ...streamEnd(error, this.readableEnded), bytes: this.#copied };
      this.#held.relay.release(this.#held.transmission, sent.outcome);
      this.#settle(sent);
    }
    callback(error);
  }
}
