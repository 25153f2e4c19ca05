#!/usr/bin/env bash
# generic-filehandle2 2.1.10 (RemoteFile.read), which readers of genomic formats build on, takes 416 (Range Not
# Satisfiable) for the end of the file: it gives back no bytes and raises no error, whatever Content-Range says. A file
# that was replaced by a shorter one under its reader so looks like one that ends there. A 200 to a range is an error.
#
# Seen with Node 20 and 24 on Linux:
#   416 with "bytes */100": 0 bytes, no error
#   200: fetch returned status 200, expected 206
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save generic-filehandle2@2.1.10 >/dev/null
cat >check.mjs <<'JS'
import { createServer } from 'node:http';
import { RemoteFile } from 'generic-filehandle2';

async function read(status, fields) {
  const server = createServer((_, response) => response.writeHead(status, fields).end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const file = new RemoteFile(`http://127.0.0.1:${server.address().port}/file.bam`);
  const result = await file.read(10, 500).then((bytes) => `${bytes.length} bytes, no error`, ({ message }) => message);
  server.close();
  server.closeAllConnections();
  return result;
}

const unsatisfiable = await read(416, { 'content-range': 'bytes */100' });
const whole = await read(200, {});
console.log(`416 with "bytes */100": ${unsatisfiable}`);
console.log(`200: ${whole}`);
process.exitCode = unsatisfiable === '0 bytes, no error' && /status 200, expected 206/.test(whole) ? 0 : 1;
JS
node check.mjs
