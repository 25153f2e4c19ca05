#!/usr/bin/env bash
# zarrita 0.7.5 (FetchStore.getRange) and unzipit 2.1.1 (HTTPRangeReader.read) do not look at the status of the answer to
# a range request. A server may ignore Range and answer 200 with the whole file (RFC 9110 14.2); both then give back the
# whole file, from its beginning, as if it were the range that was asked for. No error is raised.
#
# Seen with Node 20 and 24 on Linux:
#   zarrita: asked for 10 bytes from 100, got 1000 bytes from 0
#   unzipit: asked for 10 bytes from 100, got 1000 bytes from 0
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save zarrita@0.7.5 unzipit@2.1.1 >/dev/null
cat >check.mjs <<'JS'
import { createServer } from 'node:http';
import { HTTPRangeReader } from 'unzipit';
import { FetchStore } from 'zarrita';

const content = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-length': content.length });
  response.end(request.method === 'HEAD' ? undefined : content);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const got = {
  zarrita: await new FetchStore(origin).getRange('/file', { offset: 100, length: 10 }),
  unzipit: await new HTTPRangeReader(`${origin}/file`).read(100, 10),
};
for (const [name, bytes] of Object.entries(got)) {
  console.log(`${name}: asked for 10 bytes from 100, got ${bytes.length} bytes from ${bytes[0]}`);
}
server.close();
server.closeAllConnections();
process.exitCode = Object.values(got).every((bytes) => bytes.length === 1000 && bytes[0] === 0) ? 0 : 1;
JS
node check.mjs
