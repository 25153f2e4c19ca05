/**
 * `steps.ts STEP FILE`: answers ranges of a file that it has in memory, so that what a step adds is all that tells two
 * of them apart. Prints where it listens.
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { watchHeads } from '../../../src/http/express/received.ts';

const [step = '', path = ''] = process.argv.slice(2);
const bytes = readFileSync(path);

/** As many fields as an answer of pagerelay's has, as long as those. */
const fields = {
  etag: '"66a5f1c2-4000000-1a2b3c4d5e6f7081"',
  'last-modified': 'Wed, 25 Nov 2026 10:00:00 GMT',
  'accept-ranges': 'bytes',
  'x-content-type-options': 'nosniff',
  'content-security-policy': 'sandbox',
  'content-type': 'application/octet-stream',
};

function judge(range: string | undefined) {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = Math.min(Number(last ?? bytes.length - 1), bytes.length - 1);
  const needed = { 'content-length': end - start + 1, 'content-range': `bytes ${start}-${end}/${bytes.length}` };
  return { needed, body: bytes.subarray(start, end + 1) };
}

const few: RequestListener = (request, response) => {
  const { needed, body } = judge(request.headers.range);
  response.writeHead(206, needed).end(body);
};

const all: RequestListener = (request, response) => {
  const { needed, body } = judge(request.headers.range);
  response.writeHead(206, { ...fields, ...needed }).end(body);
};

function watched(): Server {
  const server = createServer(all);
  watchHeads(server);
  return server;
}

async function routed(hijacks: boolean): Promise<Server> {
  const app = fastify({ logger: false });
  app.get('/*', (request, reply) => {
    const { needed, body } = judge(request.headers.range);
    if (!hijacks)
      return reply
        .code(206)
        .headers({ ...fields, ...needed })
        .send(body);
    reply.hijack();
    reply.raw.writeHead(206, { ...fields, ...needed }).end(body);
    return reply;
  });
  await app.ready();
  return app.server;
}

const servers: Record<string, () => Server | Promise<Server>> = {
  few: () => createServer(few),
  all: () => createServer(all),
  watched,
  routed: () => routed(false),
  hijacked: () => routed(true),
};

const server = await servers[step]?.();
if (!server) throw new Error(`there is no step ${step}`);
server.keepAliveTimeout = 72_000; // as long as Fastify's
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
server.listen(0, '127.0.0.1', () => {
  console.log(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
