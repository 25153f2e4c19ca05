/** Whether somebody may want to see the payload of a reply before it leaves. @module */
import { tracingChannel } from 'node:diagnostics_channel';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** What Fastify keeps of a route, as far as it says who has to do with payloads; null where nobody has. */
type RouteContext = { readonly onSend?: unknown; readonly onTimeout?: unknown; readonly handlerTimeout?: unknown };

type Internals = { readonly [key: symbol]: unknown };

/** Who listens here hears of the end of handlers whose replies Fastify sends. */
const handlers = tracingChannel('fastify.request.handler');

/**
 * Whether no hook of the application, no trailer and no timeout of Fastify's has to do with the payload of a reply, so that
 * it may pass Fastify by. Fastify does not document how to tell: where it keeps this in another way, the answer is no.
 */
export function isUnobserved(reply: FastifyReply): boolean {
  const context = contextOf(reply.request);
  if (context?.onSend !== null || context.onTimeout !== null || context.handlerTimeout) return false;
  if (trailersOf(reply) !== null || handlers.hasSubscribers) return false;
  // What was begun by other means, or is to be framed in another way, is up to Fastify and Node.
  return !reply.sent && !reply.raw.headersSent && !reply.hasHeader('transfer-encoding');
}

const contextOf = reader<FastifyRequest, RouteContext>('fastify.context');
const trailersOf = reader<FastifyReply, object | null>('fastify.reply.trailers');

// The symbols are the same for all requests and replies.
function reader<Owner extends object, Value>(description: string): (owner: Owner) => Value | undefined {
  let known: symbol | undefined;
  return (owner) => {
    known ??= Object.getOwnPropertySymbols(owner).find((symbol) => symbol.description === description);
    return known && ((owner as Internals)[known] as Value | undefined);
  };
}
