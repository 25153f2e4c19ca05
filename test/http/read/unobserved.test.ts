/** Which replies may pass Fastify by: those whose payload no hook, trailer, timeout or tracer has to do with. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import fastify, { type FastifyInstance, type FastifyReply, type RouteShorthandOptions } from 'fastify';
import { isUnobserved } from '../../../src/http/read/unobserved.ts';

type Change = (reply: FastifyReply) => unknown;

async function judge(build: (app: FastifyInstance) => unknown, options: RouteShorthandOptions = {}, change?: Change) {
  const app = fastify();
  await build(app);
  let judged: boolean | undefined;
  app.get('/', options, (_, reply) => {
    change?.(reply);
    judged = isUnobserved(reply);
    if (!reply.sent) void reply.send('body');
  });
  await app.inject('/');
  await app.close();
  return judged;
}

const nothing = () => {};

test('a reply that nobody has to do with is unobserved, as this release of Fastify keeps it', async () => {
  assert.equal(await judge(nothing), true);
});

test('hooks that do not see payloads change nothing', async () => {
  const build = (app: FastifyInstance) => {
    app.addHook('onRequest', async () => {});
    app.addHook('preHandler', async (_, reply) => void reply.header('x-own', '1'));
    app.addHook('onResponse', async () => {});
  };
  assert.equal(await judge(build), true);
});

const observed: Record<string, Parameters<typeof judge>> = {
  'an onSend hook of the application': [(app) => app.addHook('onSend', async (_request, _reply, payload) => payload)],
  'an onSend hook of the route': [nothing, { onSend: async (_request, _reply, payload) => payload }],
  'an onTimeout hook': [(app) => app.addHook('onTimeout', async () => {})],
  'a time for the handler': [nothing, { handlerTimeout: 60_000 }],
  'a trailer': [nothing, {}, (reply) => reply.trailer('x-after', async () => 'all')],
  'Transfer-Encoding': [nothing, {}, (reply) => reply.header('transfer-encoding', 'chunked')],
  'an answer that was begun': [nothing, {}, (reply) => reply.send('another')],
};

for (const [what, judged] of Object.entries(observed)) {
  test(`a reply is observed by ${what}`, async () => {
    assert.equal(await judge(...judged), false);
  });
}

test('a reply is observed by who traces handlers', async (t) => {
  const name = 'tracing:fastify.request.handler:asyncEnd';
  subscribe(name, nothing);
  t.after(() => unsubscribe(name, nothing));
  assert.equal(await judge(nothing), false);
});
