/** Answers ranges of the files of a folder with createReadStream, as its argument says (listening.ts). @module */
import { createReadStream, createWriteStream, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { isKnown, told } from './listening.ts';

const { folder, port, socketPath, logFile } = told;
const sizes = new Map(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]));
const log = logFile === undefined ? undefined : createWriteStream(logFile);

const server = createServer((request, response) => {
  const { method, url = '', headers, socket } = request;
  response.on('finish', () => {
    log?.write(`${socket.remoteAddress} [${new Date().toISOString()}] "${method} ${url}" ${response.statusCode}\n`);
  });
  const name = url.slice(1);
  const size = sizes.get(name);
  if (!isKnown(headers.authorization) || size === undefined) {
    response.writeHead(size === undefined ? 404 : 401).end();
    return;
  }
  // One plain range, or else all of it.
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = Math.min(Number(last ?? size - 1), size - 1);
  if (start > end) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const fields = { 'content-length': end - start + 1, 'content-type': 'application/octet-stream' };
  if (first === undefined) response.writeHead(200, fields);
  else response.writeHead(206, { ...fields, 'content-range': `bytes ${start}-${end}/${size}` });
  if (method === 'HEAD') response.end();
  else pipeline(createReadStream(join(folder, name), { start, end }), response, () => {});
});

server.keepAliveTimeout = 72_000; // as long as Fastify's
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
server.listen(socketPath === undefined ? { host: '127.0.0.1', port } : { path: socketPath });
