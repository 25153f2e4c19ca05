#!/usr/bin/env bash
# ipull 4.0.3 downloads parts of a file in parallel. It sends neither If-Match nor If-Range and compares no entity-tag
# of the answers: when the file is replaced by one of the same length in the middle, the download ends well and the file
# on the disk holds parts of both. Its first request is a GET without Range that it cuts off after the head, so a server
# has begun to send the whole file by then.
#
# Seen with Node 20 and 24 on Linux:
#   first request: GET without Range
#   300000 bytes on the disk: some of the old version, some of the new one; no error
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save ipull@4.0.3 >/dev/null
cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { downloadFile } from 'ipull';

const size = 300_000;
const ranges = [];
const conditions = [];
const server = createServer(({ headers }, response) => {
  const version = ranges.length < 3 ? 'a' : 'b'; // replaced after the second range
  ranges.push(headers.range);
  conditions.push(headers['if-match'], headers['if-range']);
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? 'bytes=0-') ?? [];
  const last = Math.min(size - 1, to === '' ? size - 1 : Number(to));
  const fields = { etag: `"${version}"`, 'accept-ranges': 'bytes', 'content-length': last - Number(from) + 1 };
  if (headers.range) response.writeHead(206, { ...fields, 'content-range': `bytes ${from}-${last}/${size}` });
  else response.writeHead(200, fields);
  response.end(version.repeat(last - Number(from) + 1));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}/file.bin`;
const to = { directory: process.cwd(), fileName: 'file.bin', cliProgress: false };
const download = await downloadFile({ url, ...to, parallelStreams: 3, chunkSize: 50_000 });
await download.download();
const text = readFileSync('file.bin', 'latin1');
console.log(`first request: GET ${ranges[0] === undefined ? 'without Range' : ranges[0]}`);
console.log(`${text.length} bytes: ${text.split('a').length - 1} of the old version, ${text.split('b').length - 1} of the new one`);
const joined = text.length === size && text.includes('a') && text.includes('b');
process.exit(ranges[0] === undefined && joined && conditions.every((each) => each === undefined) ? 0 : 1);
JS
node check.mjs
