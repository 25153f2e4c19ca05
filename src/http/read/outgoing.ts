/** From a judged request to a body whose pages are held. @module */
import { finished, Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { type TracedTransmission, traceHeld } from '../../observe/tracing.ts';
import type { Plan } from '../../range/plan.ts';
import type { Region } from '../../region/region.ts';
import { type BackingEngine, type EngineChoice, engineForBacking, engineTowards } from '../../relay/engine.ts';
import { NativeRelay } from '../../relay/native-relay.ts';
import { type PacedLimits, Paces } from '../../relay/pace.ts';
import {
  type Claim,
  type Engine,
  type Generation,
  type Relay,
  SystemError,
  type TransmissionId,
} from '../../relay/relay.ts';
import { type Seen, unseen } from '../../relay/witness.ts';
import { type HeldBody, RegionBody } from './region-body.ts';
import { type Fields, setAllFields, setFields } from './region-headers.ts';
import { isUnobserved } from './unobserved.ts';
import type { WayOut, WaysOut } from './way-out.ts';

/** How bodies are sent. */
export type OutgoingOptions = {
  readonly engine: EngineChoice;
  /** Seconds. */
  readonly maxHold: number;
  /** What bandwidths there are. */
  readonly limits?: { readonly elsewhere: PacedLimits } | undefined;
  /** Bytes: shorter bodies are copied, which costs less than a reference to a page (docs/performance.md). */
  readonly copyBelow: number;
};

/** Chooses engines, takes references. */
export class Outgoing {
  readonly relay: Relay;
  readonly paces: Paces;
  readonly #connections: WaysOut | undefined;
  readonly #choice: EngineChoice;
  readonly #maxHold: number;
  readonly #copyBelow: number;
  /** Of what is open: asked for with each response, and always the same. */
  readonly #engines = new WeakMap<Generation, BackingEngine>();

  /**
   * @param connections undefined without the shim
   */
  constructor(relay: Relay, connections: WaysOut | undefined, { engine, maxHold, copyBelow, limits }: OutgoingOptions) {
    this.relay = relay;
    this.#connections = connections;
    this.#choice = engine;
    this.#maxHold = maxHold;
    this.#copyBelow = copyBelow;
    this.paces = new Paces(limits?.elsewhere); // Connections and regions are limited alike everywhere.
  }

  /** The engine that a region is sent by, the peer left aside. */
  engineOf(region: Pick<Region, 'content'>): BackingEngine {
    const { generation } = region.content;
    const known = this.#engines.get(generation);
    if (known) return known;
    const engine = this.engineFor({ backing: generation.backing, verdicts: generation.seen });
    this.#engines.set(generation, engine);
    return engine;
  }

  /** The same for a backing. */
  engineFor(seen: Seen): BackingEngine {
    if (this.#connections) {
      const { relay } = this;
      return engineForBacking(this.#choice, seen, relay instanceof NativeRelay ? relay.refused : {});
    }
    const only = { engine: 'stream', large: 'stream', largeFrom: 0, because: 'there is no native shim' } as const;
    return { backing: seen.backing, ...only, copyFree: false };
  }

  /** The engine of each backing that was seen so far; without the shim, of the only one that it knows. */
  engines(): readonly BackingEngine[] {
    const seen = this.#connections ? this.relay.seen() : [{ backing: 'pagecache', verdicts: unseen } as const];
    return seen.map((each) => this.engineFor(each));
  }

  /**
   * Takes the reference of a response: `stale` when the region is no longer what was judged, `blocked` while a writer
   * has pages of it. What is held has to be sent, by `answerHeld`, which gives the reference back.
   *
   * @param place in the queue behind writers, if the reader has waited for one
   * @param inPlace looks at the path of the region's file, which was not done for this judgement
   * @throws SystemError when descriptors or memory are short
   */
  hold(
    reply: FastifyReply,
    region: Region,
    plan: Plan,
    place?: Claim,
    inPlace?: boolean,
  ): HeldBody | 'stale' | 'blocked' {
    const { relay } = this;
    const { content } = region;
    const backing = this.engineOf(region);
    const connection =
      backing.engine === 'stream' ? undefined : this.#connections?.of(reply.raw, content.generation.node);
    let engine = this.#wanted(backing, connection, plan.length);
    let held: TransmissionId | 'stale' | 'blocked';
    try {
      held = relay.hold(content, engine, plan.segments, place, inPlace);
    } catch (error) {
      // A pipe takes two descriptors. Where there are none left, what is large goes the usual way.
      const usual = connection ? engineTowards(backing.engine, connection.peerKind) : engine;
      const isShort = error instanceof SystemError && (error.code === 'EMFILE' || error.code === 'ENFILE');
      if (!isShort || engine === usual) throw error;
      engine = usual;
      held = relay.hold(content, engine, plan.segments, place, inPlace);
    }
    if (typeof held === 'string') return held;
    const trace = traceHeld(relay, () => traced(reply, region, plan, { id: held, engine }));
    const pace = this.paces.of(reply.raw.socket, content.generation);
    return { relay, content, plan, transmission: held, connection, engine, maxHold: this.#maxHold, pace, trace };
  }

  #wanted({ engine, large, largeFrom }: BackingEngine, connection: WayOut | undefined, length: number): Engine {
    if (!connection) return 'stream';
    if (length < this.#copyBelow) return 'copy';
    return engineTowards(length < largeFrom ? engine : large, connection.peerKind);
  }
}

function traced(
  reply: FastifyReply,
  region: Region,
  plan: Plan,
  held: Pick<TracedTransmission, 'id' | 'engine'>,
): TracedTransmission {
  const extents = plan.segments.filter((segment) => typeof segment !== 'string');
  return { ...held, requestId: reply.request.id, region: region.name, extents, length: plan.length };
}

/** What a handler gives that has answered already: one for all. */
const answered = Promise.resolve() as Promise<never>;

/**
 * Sends what is held: directly where nobody wants to see the payload, which saves about 8 µs a response; else as a stream
 * that Fastify is given, and every onSend hook sees. Resolves when the body has been sent.
 */
export function answerHeld(reply: FastifyReply, held: HeldBody, fields: Fields): Promise<FastifyReply> {
  const { connection } = held;
  return connection && isUnobserved(reply)
    ? answerDirectly(reply, held, connection, setAllFields(reply, fields))
    : answerByStream(reply, held, fields);
}

async function answerByStream(reply: FastifyReply, held: HeldBody, fields: Fields): Promise<FastifyReply> {
  const body = new RegionBody(held);
  reply.regionBody = body;
  void held.trace?.follow(body.sent);
  // A hook that sends something else instead never reads the body, nor destroys it.
  finished(reply.raw, () => body.destroy());
  return setFields(reply.code(held.plan.status), fields).send(body);
}

function answerDirectly(
  reply: FastifyReply,
  held: HeldBody,
  connection: WayOut,
  fields: Fields,
): Promise<FastifyReply> {
  reply.code(held.plan.status).hijack();
  const sent = connection.answer(reply.raw, held, fields);
  reply.regionBody = { engine: held.engine, sent };
  void held.trace?.follow(sent);
  return sent instanceof Promise ? sent.then(() => reply) : answered;
}

/** Answers HEAD, and GET of an empty region. */
export function answerBodiless(reply: FastifyReply, status: number, fields: Fields): FastifyReply {
  // An empty stream, for of no payload at all Fastify says that its length is 0.
  return setFields(reply.code(status), fields).send(Readable.from([]));
}
