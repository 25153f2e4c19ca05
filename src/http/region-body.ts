import { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { OutgoingBody } from '../observe/access-log.ts';
import type { Plan } from '../range/plan.ts';
import type { Connection } from '../relay/connection.ts';
import { NativeRelay } from '../relay/native-relay.ts';
import type { Engine, JudgedContent, Relay, Sent, TransmissionId } from '../relay/relay.ts';
import { sendHeld } from '../relay/send.ts';
import { readSegments, Stalled, streamEnd } from '../relay/stream.ts';

/** A body whose pages are held. */
export type HeldBody = {
  readonly relay: Relay;
  readonly content: JudgedContent;
  readonly plan: Plan;
  readonly transmission: TransmissionId;
  /** Where it may go natively; undefined where the portable engine serves. */
  readonly connection: Connection | undefined;
  readonly engine: Engine;
  /** Seconds. */
  readonly maxHold: number;
};

/**
 * A region's bytes as the payload of a reply. Piped straight into the response of its own connection, as Fastify does
 * when every onSend hook has left it alone, the bytes go out natively; read or piped in any other way it is an
 * ordinary stream.
 */
export class RegionBody extends Readable implements OutgoingBody {
  readonly engine: Engine;
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
    this.engine = held.engine;
    this.#settle = resolve;
    this.#held = held;
  }

  override pipe<Destination extends NodeJS.WritableStream>(destination: Destination, options?: { end?: boolean }) {
    const { connection, relay } = this.#held;
    const mine = connection && relay instanceof NativeRelay && destination instanceof ServerResponse;
    if (!mine || !connection.carries(destination) || this.#source) return super.pipe(destination, options);
    this.#native = true;
    void this.#sendNatively(relay, connection, destination);
    return destination;
  }

  async #sendNatively(relay: NativeRelay, connection: Connection, response: ServerResponse): Promise<void> {
    response.writeHead(response.statusCode);
    const sent = await sendHeld(relay, connection, response, this.#held.transmission, this.#held.plan.length);
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
    const { relay, content, plan, transmission, maxHold } = this.#held;
    relay.changeToStream(transmission);
    this.#stall = setTimeout(() => this.destroy(new Stalled('nothing was read')), maxHold * 1000);
    return readSegments(relay, content.generation, transmission, plan.segments, (bytes) => {
      this.#copied += bytes;
      this.#stall?.refresh();
    });
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
