/** `node-stream.ts FOLDER`: answers ranges of the files of a folder with createReadStream. Prints where it listens. @module */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { askedFor, listen } from './listening.ts';

const [folder = '.'] = process.argv.slice(2);
const sizes = new Map(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]));

const server = createServer((request, response) => {
  const name = request.url?.slice(1) ?? '';
  const size = sizes.get(name);
  if (size === undefined) {
    response.writeHead(404).end();
    return;
  }
  const { isRanged, start, end } = askedFor(request.headers.range, size);
  if (start > end) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const fields = { 'content-length': end - start + 1, 'content-type': 'application/octet-stream' };
  if (!isRanged) response.writeHead(200, fields);
  else response.writeHead(206, { ...fields, 'content-range': `bytes ${start}-${end}/${size}` });
  pipeline(createReadStream(join(folder, name), { start, end }), response, () => {});
});

listen(server);
