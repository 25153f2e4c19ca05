#!/usr/bin/env bash
# Frameworks that make entity-tags of bodies make them of the bytes of a range: every 206 of one unchanged file has another
# tag, and none has the tag of the whole. An entity-tag is of the representation (RFC 9110 8.8.3), and clients take another
# one for another version. Express 5.3.0 does so by default, for a handler that sends a part by `status(206).send(part)`;
# @koa/etag 5.0.2 and hono/etag 4.13.19 do so for files too, behind middleware that cuts or serves ranges.
# @zip.js/zip.js 2.24.0 (HttpRangeReader), which compares tags, can't open an archive that way: "HTTP resource changed".
#
# Seen with Node 20 and 24:
#   express: 3 tags of the whole and two ranges, weak
#   koa: 3 tags, strong
#   hono: 3 tags, strong; zip.js: HTTP resource changed; without hono/etag zip.js reads 2 files
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save express@5.3.0 koa@3.3.0 @koa/etag@5.0.2 koa-range@0.3.0 \
  hono@4.13.19 @hono/node-server@2.1.9 @zip.js/zip.js@2.24.0 >/dev/null
cat >check.mjs <<'JS'
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import koaEtag from '@koa/etag';
import { HttpRangeReader, TextReader, TextWriter, Uint8ArrayWriter, ZipReader, ZipWriter } from '@zip.js/zip.js';
import express from 'express';
import { Hono } from 'hono';
import { etag as honoEtag } from 'hono/etag';
import Koa from 'koa';
import koaRange from 'koa-range';

const archive = new ZipWriter(new Uint8ArrayWriter(), { level: 0 });
for (const letter of ['a', 'b']) await archive.add(`${letter}.txt`, new TextReader(letter.repeat(200_000)));
const content = Buffer.from(await archive.close());
mkdirSync('files');
writeFileSync('files/f.zip', content);

const own = express().get('/f.zip', (request, response) => {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) return response.type('zip').send(content);
  response.status(206).type('zip').set('Content-Range', `bytes ${from}-${to}/${content.length}`);
  response.send(content.subarray(Number(from), Number(to) + 1));
});
const koa = new Koa().use(koaEtag()).use(koaRange).use((context) => (context.body = content));
const accepting = async (context, next) => {
  await next();
  context.header('accept-ranges', 'bytes'); // without it zip.js does not read by ranges
};
const plain = new Hono().use(accepting).use(serveStatic({ root: './files' }));
const tagged = new Hono().use(honoEtag()).use(accepting).use(serveStatic({ root: './files' }));

async function serving(handler, use) {
  const server = createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const result = await use(`http://127.0.0.1:${server.address().port}/f.zip`);
  server.close();
  server.closeAllConnections();
  return result;
}
async function tagsAt(url) {
  const tags = [];
  for (const headers of [{}, { range: 'bytes=0-9999' }, { range: 'bytes=10000-19999' }]) {
    const response = await fetch(url, { headers });
    tags.push(`${response.status} ${response.headers.get('etag')}`);
    await response.arrayBuffer();
  }
  return tags;
}
async function unzipped(url) {
  try {
    const entries = await new ZipReader(new HttpRangeReader(url)).getEntries();
    for (const entry of entries) await entry.getData(new TextWriter());
    return `${entries.length} files`;
  } catch ({ message }) {
    return message;
  }
}

const handlers = { express: own, koa: koa.callback(), hono: getRequestListener(tagged.fetch) };
for (const [name, handler] of Object.entries(handlers)) {
  const tags = await serving(handler, tagsAt);
  console.log(`${name}: ${tags.join(', ')}`);
  const statuses = tags.map((tag) => tag.slice(0, 3)).join();
  const distinct = new Set(tags.map((tag) => tag.slice(4))).size;
  const weak = tags.every((tag) => tag.includes('W/')) === (name === 'express');
  const missing = tags.some((tag) => tag.endsWith('null'));
  if (statuses !== '200,206,206' || distinct !== 3 || missing || !weak) process.exitCode = 1;
}
const without = await serving(getRequestListener(plain.fetch), unzipped);
const having = await serving(getRequestListener(tagged.fetch), unzipped);
console.log(`zip.js, hono: ${without} without hono/etag; with it: ${having}`);
if (without !== '2 files' || having !== 'HTTP resource changed') process.exitCode = 1;
JS
node check.mjs
