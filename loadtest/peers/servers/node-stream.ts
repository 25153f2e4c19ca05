/** `node-stream.ts FILE`: answers ranges of a file with createReadStream. Prints where it listens. @module */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

const [path = ''] = process.argv.slice(2);
const { size } = statSync(path);

const server = createServer((request, response) => {
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
  pipeline(createReadStream(path, { start, end }), response, () => {});
});

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
server.listen(0, '127.0.0.1', () => {
  console.log(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
