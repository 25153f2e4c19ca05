/**
 * The steps of a transmission on Node's diagnostics channels (docs/tracing.md). Without listeners they cost almost
 * nothing.
 *
 * @module
 */
import { channel } from 'node:diagnostics_channel';
import { referencePages } from '../relay/reference-pages.ts';
import type { Engine, Relay, Sent, TransmissionId } from '../relay/relay.ts';

/** The channels, in the order of their steps. */
export const channels = {
  held: channel('pagerelay:transmission:held'),
  sending: channel('pagerelay:transmission:sending'),
  accepted: channel('pagerelay:transmission:accepted'),
  ended: channel('pagerelay:transmission:ended'),
  done: channel('pagerelay:transmission:done'),
} as const;

const all = Object.values(channels);

/** What every step of a transmission tells. */
export type TracedTransmission = {
  /** The id that `GET /references` shows. */
  readonly id: TransmissionId;
  /** The `reqId` of the log. */
  readonly requestId: string;
  readonly region: string;
  /** Bytes of the region. */
  readonly extents: readonly { readonly offset: number; readonly length: number }[];
  /** Bytes of the body. */
  readonly length: number;
  readonly engine: Engine;
};

/** What `accepted` and `ended` tell besides: how it ended, and how many bytes are with the socket. */
export type TracedEnd = TracedTransmission & Sent;

/** What `done` tells besides: since the reference was taken. */
export type TracedDone = TracedTransmission & { readonly seconds: number };

/** Milliseconds between two looks at what is done, while somebody listens for it. */
const lookEvery = 50;

/** The trace of a transmission that was just held; undefined where nobody listens. */
export function traceHeld(relay: Relay, about: () => TracedTransmission): Trace | undefined {
  return isTraced() ? new Trace(relay, about()) : undefined;
}

/** Whether somebody listens to any step now. Lanes tell of none, so they answer nothing then. */
export function isTraced(): boolean {
  return all.some(({ hasSubscribers }) => hasSubscribers);
}

/** Tells of each step of one transmission. */
export class Trace {
  readonly #relay: Relay;
  readonly #began = performance.now();
  #about: TracedTransmission;

  constructor(relay: Relay, about: TracedTransmission) {
    this.#relay = relay;
    this.#about = about;
    channels.held.publish(about);
  }

  get id(): TransmissionId {
    return this.#about.id;
  }

  /** @param engine by which it goes after all */
  sending(engine: Engine = this.#about.engine): void {
    this.#about = { ...this.#about, engine };
    channels.sending.publish(this.#about);
  }

  /** Tells of its end when that is there, and of its being done. */
  async follow(end: Sent | Promise<Sent>): Promise<void> {
    const sent = await end;
    const { accepted, ended, done } = channels;
    (sent.outcome === 'complete' ? accepted : ended).publish({ ...this.#about, ...sent } satisfies TracedEnd);
    if (done.hasSubscribers) Undone.of(this.#relay).add(this);
  }

  done(): void {
    const seconds = (performance.now() - this.#began) / 1000;
    channels.done.publish({ ...this.#about, seconds } satisfies TracedDone);
  }
}

/** Traces whose transmissions have ended and may be undone. Nobody tells when that is over: it is looked at. */
class Undone {
  static readonly #all = new WeakMap<Relay, Undone>();
  readonly #relay: Relay;
  readonly #traces = new Set<Trace>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  private constructor(relay: Relay) {
    this.#relay = relay;
  }

  static of(relay: Relay): Undone {
    const undone = Undone.#all.get(relay) ?? new Undone(relay);
    Undone.#all.set(relay, undone);
    return undone;
  }

  add(trace: Trace): void {
    this.#traces.add(trace);
    this.#timer ??= setInterval(() => void this.#look(), lookEvery).unref();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const held = await this.#held(new Set(this.#traces));
    for (const [trace, isHeld] of held) {
      if (isHeld) continue;
      this.#traces.delete(trace);
      if (isHeld === false) trace.done();
    }
    this.#looking = false;
    if (this.#traces.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  // Which of these traces' transmissions are held; undefined of a relay that is closed. One that is added meanwhile may
  // have been passed, and waits for the next look.
  async #held(traces: ReadonlySet<Trace>): Promise<Map<Trace, boolean | undefined>> {
    try {
      const held = new Set<TransmissionId>();
      for await (const references of referencePages(this.#relay)) for (const { id } of references) held.add(id);
      return new Map([...traces].map((trace) => [trace, held.has(trace.id)]));
    } catch {
      return new Map([...traces].map((trace) => [trace, undefined]));
    }
  }
}
