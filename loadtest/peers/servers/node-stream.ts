/** `node-stream.ts FOLDER`: answers ranges of the files of a folder with createReadStream. Prints where it listens. @module */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';

const [folder = '.'] = process.argv.slice(2);
const sizes = new Map(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]));

const server = createServer((request, response) => {
  const name = request.url?.slice(1) ?? '';
  const size = sizes.get(name);
  if (size === undefined) {
    response.writeHead(404).end();
    return;
  }
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = Math.min(Number(last ?? size - 1), size - 1);
  if (start > end) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const fields = { 'content-length': end - start + 1, 'content-type': 'application/octet-stream' };
  if (first === undefined) response.writeHead(200, fields);
  else response.writeHead(206, { ...fields, 'content-range': `bytes ${start}-${end}/${size}` });
  pipeline(createReadStream(join(folder, name), { start, end }), response, () => {});
});

// As long as Fastify's.
server.keepAliveTimeout = 72_000;

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
server.listen(0, '127.0.0.1', () => {
  console.log(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
