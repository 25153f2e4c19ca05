#!/usr/bin/env bash
# If-Range has a server send a range only of the version that the client has a part of, and the whole of any other. Four
# servers of static files for Node ignore it, three of them though they send entity-tags: a download that is resumed
# after the file was replaced gets 206 and the rest of the other file. The two that evaluate it (`send` and the fork of it
# under @fastify/static) take weak tags, which RFC 9110 13.1.5 forbids, and send no others: made of size and mtime. A file
# that was replaced by one with the same size and mtime (reproducible archives, container layers) so is resumed too.
#
# Seen with Node 20 and 24; half a file, then If-Range with the tag or date of it, after another one of the same size came:
#                              replaced, other mtime    replaced, same mtime
#   serve-handler 6.1.8        206, rest of the other   206, rest of the other
#   http-server 14.1.1         206, rest of the other   206, rest of the other
#   sirv 3.0.2 (dev)           206, rest of the other   206, rest of the other
#   hono 4.13.19, node 2.1.9   206, rest of the other   206, rest of the other
#   serve-static 2.2.1         200, whole               206, rest of the other
#   @fastify/static 10.1.11    200, whole               206, rest of the other
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save serve-handler@6.1.8 http-server@14.1.1 sirv@3.0.2 hono@4.13.19 \
  @hono/node-server@2.1.9 serve-static@2.2.1 fastify@5.12.8 @fastify/static@10.1.11 >/dev/null
cat >check.mjs <<'JS'
import { once } from 'node:events';
import { mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import fastifyStatic from '@fastify/static';
import { getRequestListener } from '@hono/node-server';
import { serveStatic as honoStatic } from '@hono/node-server/serve-static';
import Fastify from 'fastify';
import { Hono } from 'hono';
import httpServer from 'http-server';
import serveHandler from 'serve-handler';
import serveStatic from 'serve-static';
import sirv from 'sirv';

const root = `${process.cwd()}/files`;
const size = 1000;
mkdirSync(root);
function put(letter, time) {
  writeFileSync('next', letter.repeat(size));
  utimesSync('next', time, time);
  renameSync('next', `${root}/f.bin`);
}
put('o', 1_700_000_000);

const fastify = Fastify();
fastify.register(fastifyStatic, { root });
await fastify.ready();
const none = (_, response) => response.writeHead(404).end();
const files = serveStatic(root);
const handlers = {
  'serve-handler': (request, response) => serveHandler(request, response, { public: root, etag: true }),
  'http-server': httpServer.createServer({ root }).server.listeners('request')[0],
  sirv: sirv(root, { dev: true, etag: true }),
  hono: getRequestListener(new Hono().use(honoStatic({ root: './files' })).fetch),
  'serve-static': (request, response) => files(request, response, () => none(request, response)),
  '@fastify/static': (request, response) => fastify.routing(request, response),
};

async function resumed(url, time) {
  put('o', 1_700_000_000);
  const first = await fetch(url, { headers: { range: `bytes=0-${size / 2 - 1}` } });
  const part = await first.text();
  const validator = first.headers.get('etag') ?? first.headers.get('last-modified');
  put('n', time);
  const rest = await fetch(url, { headers: { range: `bytes=${size / 2}-`, 'if-range': validator } });
  const text = await rest.text();
  const joined = rest.status === 206 && part + text === 'o'.repeat(size / 2) + 'n'.repeat(size / 2);
  const whole = rest.status === 200 && text === 'n'.repeat(size);
  const result = joined ? '206, rest of the other' : whole ? '200, whole' : `${rest.status}, ${text.length} bytes`;
  return { validator, result };
}

for (const [name, handler] of Object.entries(handlers)) {
  const server = createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${server.address().port}/f.bin`;
  const other = await resumed(url, 1_700_000_777);
  const same = await resumed(url, 1_700_000_000);
  server.close();
  server.closeAllConnections();
  console.log(`${name}: ${other.result} | same mtime: ${same.result} | If-Range: ${same.validator}`);
  const evaluates = name === 'serve-static' || name === '@fastify/static';
  if (other.result !== (evaluates ? '200, whole' : '206, rest of the other')) process.exitCode = 1;
  if (same.result !== '206, rest of the other' || (evaluates && !same.validator.startsWith('W/'))) process.exitCode = 1;
}
process.exit();
JS
node check.mjs
