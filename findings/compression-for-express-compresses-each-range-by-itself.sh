#!/usr/bin/env bash
# compression 1.8.2, the middleware of Express, compresses answers with status 206 too. A range of a file is a range of what
# Content-Encoding says it is (RFC 9110 14.2, 8.4); here it is cut from the plain file first, and each piece is then
# compressed by itself. Content-Range counts bytes of the plain file, the body has fewer of another kind, and the entity-tag
# is that of the plain file. A client that joins the bodies by Content-Range gets gaps; one that decodes each of
# them is right by luck. Clients that send no Accept-Encoding, or identity (as fetch does with Range), see none of it.
# hono/compress 4.13.19 compresses the same file, and leaves its ranges as they are.
#
# Seen with Node 20 and 24, Express 5.3.0, serve-static 2.2.1; bytes=0-19999 and bytes=20000-39999 of a text, with
# Accept-Encoding: gzip:
#   express: 206, bytes 0-19999/40000 with 4572 bytes of gzip, which are 20000; bytes 20000-39999/40000 with 4422
#   hono: 206, 20000 bytes, no Content-Encoding
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save express@5.3.0 compression@1.8.2 serve-static@2.2.1 hono@4.13.19 \
  @hono/node-server@2.1.9 >/dev/null
cat >check.mjs <<'JS'
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { getRequestListener } from '@hono/node-server';
import { serveStatic as honoStatic } from '@hono/node-server/serve-static';
import compression from 'compression';
import express from 'express';
import { Hono } from 'hono';
import { compress as honoCompress } from 'hono/compress';
import serveStatic from 'serve-static';

const half = 20_000;
const lines = Array.from({ length: 4000 }, (_, line) => `${line * 7}`.padStart(9, '.'));
const content = Buffer.from(lines.join('\n').padEnd(2 * half, '\n'));
mkdirSync('files');
writeFileSync('files/f.txt', content);

const hono = new Hono().use(honoCompress()).use(honoStatic({ root: './files' }));
const handlers = {
  express: express().use(compression()).use(serveStatic('files')),
  hono: getRequestListener(hono.fetch),
};

function ask(port, range) {
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': 'gzip', ...range };
    const request = get({ port, host: '127.0.0.1', path: '/f.txt', headers, agent: false }, async (response) => {
      resolve({ status: response.statusCode, fields: response.headers, body: Buffer.concat(await response.toArray()) });
    });
    request.on('error', reject);
  });
}

for (const [name, handler] of Object.entries(handlers)) {
  const server = createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address();
  const whole = await ask(port, {});
  const parts = [await ask(port, { range: 'bytes=0-19999' }), await ask(port, { range: 'bytes=20000-39999' })];
  server.close();
  server.closeAllConnections();
  for (const { status, fields, body } of parts) {
    const coding = fields['content-encoding'] ?? 'no coding';
    console.log(`${name}: ${status}, ${fields['content-range']}, ${coding}, ${body.length} bytes, ${fields.etag ?? 'no tag'}`);
  }
  const right = parts.every(({ status, fields }, index) => {
    return status === 206 && fields['content-range'] === `bytes ${index * half}-${(index + 1) * half - 1}/${2 * half}`;
  });
  const isGzip = ({ fields }) => fields['content-encoding'] === 'gzip';
  const asBefore = name === 'express'
    ? parts.every((part, index) => isGzip(part) && part.body.length < half && part.fields.etag === whole.fields.etag
      && gunzipSync(part.body).equals(content.subarray(index * half, (index + 1) * half)))
    : parts.every((part) => !isGzip(part) && part.body.length === half);
  if (!right || !asBefore || !isGzip(whole)) process.exitCode = 1;
}
JS
node check.mjs
