/**
 * `steps.ts STEP FILE`: answers ranges of a file that it has in memory, so that what a step adds is all that tells two
 * of them apart. Prints where it listens.
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import fastify from 'fastify';
import { watchHeads } from '../../../src/http/express/received.ts';
import { askedFor, listen } from './listening.ts';

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
  const { start, end } = askedFor(range, bytes.length);
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
listen(server);
