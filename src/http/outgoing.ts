/** From a judged request to bytes on their way. @module */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Plan } from '../range/plan.ts';
import type { Region } from '../region/region.ts';
import type { Connection, Connections } from '../relay/connection.ts';
import { type EngineChoice, engineFor, engineTowards } from '../relay/engine.ts';
import { NativeRelay } from '../relay/native-relay.ts';
import type { Engine, Relay, TransmissionId } from '../relay/relay.ts';
import { type Sent, sendHeld } from '../relay/send.ts';
import { streamHeld } from '../relay/stream.ts';
import { contentFields, validatorFields } from './region-headers.ts';

/** A response whose pages are held and whose head is not yet written. */
export type Held = {
  readonly region: Region;
  readonly plan: Plan;
  readonly engine: Engine;
  readonly transmission: TransmissionId;
  readonly connection: Connection | undefined;
};

/** How a body went out, for the log line of its request. */
export type BodyReport = Sent & { readonly engine: Engine; readonly bytes: number };

declare module 'fastify' {
  interface FastifyReply {
    /** Set when a region's bytes are on their way: settles when the socket has taken them, or never will. */
    regionBody: Promise<BodyReport> | undefined;
  }
}

/** Chooses engines, takes references. */
export class Outgoing {
  readonly relay: Relay;
  readonly maxHold: number;
  readonly #connections: Connections | undefined;
  readonly #choice: EngineChoice;

  constructor(relay: Relay, connections: Connections | undefined, choice: EngineChoice, maxHold: number) {
    this.relay = relay;
    this.maxHold = maxHold;
    this.#connections = connections;
    this.#choice = choice;
  }

  /** The engine that a region is sent by, the peer left aside. */
  engineOf(region: Region): Engine {
    return this.#connections ? engineFor(this.#choice, region.content.generation.backing) : 'stream';
  }

  /**
   * Takes the reference of a response. Undefined when the region is no longer what was judged.
   *
   * @throws SystemError when descriptors or memory are short
   */
  hold(request: FastifyRequest, region: Region, plan: Plan): Held | undefined {
    const wanted = this.engineOf(region);
    const node = region.content.generation.node;
    const connection = wanted === 'stream' ? undefined : this.#connections?.of(request.raw.socket, node);
    const engine = connection ? engineTowards(wanted, connection.peerKind) : 'stream';
    const transmission = this.relay.hold(region.content, engine, plan.extents);
    return transmission === undefined ? undefined : { region, plan, engine, transmission, connection };
  }
}

/** Answers 304 (RFC 9110 15.4.5). */
export function answerNotModified(reply: FastifyReply, region: Region): FastifyReply {
  return reply.code(304).headers(validatorFields(region)).send();
}

/** Answers HEAD, and GET of an empty region: the head alone. */
export function answerWithoutBody(reply: FastifyReply, region: Region, plan: Plan): FastifyReply {
  return reply.code(plan.status).headers(contentFields(region, plan)).send();
}

/** Writes the head and sends what is held. */
export function answerContent(outgoing: Outgoing, reply: FastifyReply, held: Held): FastifyReply {
  const { region, plan, engine, transmission, connection } = held;
  const report = (sent: Sent) => ({ ...sent, engine, bytes: plan.length });
  reply.code(plan.status).headers(contentFields(region, plan));
  if (connection && outgoing.relay instanceof NativeRelay) {
    reply.hijack();
    writeHead(reply);
    reply.regionBody = sendHeld(outgoing.relay, connection, reply.raw, transmission).then(report);
    return reply;
  }
  const stream = streamHeld(outgoing.relay, region.content.generation, transmission, plan.extents, outgoing.maxHold);
  reply.regionBody = stream.sent.then(report);
  return reply.send(stream.body);
}

// A hijacked reply sends nothing by itself: the fields that hooks and plugins have set go with ours.
function writeHead(reply: FastifyReply): ServerResponse {
  return reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
}
