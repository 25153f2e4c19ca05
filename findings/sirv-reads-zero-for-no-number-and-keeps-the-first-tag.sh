#!/usr/bin/env bash
# sirv 3.0.2, the server of static files under Vite's preview, SvelteKit's node adapter and others, reads the two numbers of
# a Range by their truth in JavaScript, where 0 is none, and does not look at the unit:
#   bytes=0-0 (clients ask so for a file's size): 206 with the whole file
#   bytes=-5 (the last five): 206 with the first six
#   bytes=-0 (not satisfiable): 206 with the whole file
#   bytes=0-1,5-6: 206 with the first of the two
#   items=2-3: 206 with bytes 0 to 3
# Content-Range says what is sent, so a client that compares it can tell. The answers have no Accept-Ranges.
# By default (without `dev`) it looks at files when it starts. One that is replaced later is sent under the entity-tag, the
# Last-Modified and the length of then: If-None-Match with that tag is 304, ranges of both versions have one tag, and of a
# longer file nobody gets the end.
#
# Seen with Node 20 and 24, sirv(folder, { etag: true }), 1000 bytes of o replaced by 1500 of n by rename:
#   whole: 200, 1000 bytes of n, old tag; bytes=500-599: 206, 100 bytes of n, old tag; bytes=1200-1209: 416, bytes */1000
#   If-None-Match with the old tag: 304
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save sirv@3.0.2 >/dev/null
cat >check.mjs <<'JS'
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import sirv from 'sirv';

mkdirSync('files');
writeFileSync('files/f.bin', 'o'.repeat(1000));
const server = createServer(sirv('files', { etag: true }));
await once(server.listen(0, '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}/f.bin`;
let tag;

async function ask(headers) {
  const response = await fetch(url, { headers });
  const text = await response.text();
  tag ??= response.headers.get('etag');
  const of = text === '' ? '' : ` of ${text[0]}`;
  const kept = response.headers.get('etag') === tag ? ', first tag' : '';
  return `${response.status} ${response.headers.get('content-range') ?? 'whole'} ${text.length}${of}${kept}`;
}
function expect(name, seen, expected) {
  console.log(`${name}: ${seen}`);
  if (seen !== expected) process.exitCode = 1;
}

expect('whole', await ask({}), '200 whole 1000 of o, first tag');
const ranges = {
  'bytes=0-0': '206 bytes 0-999/1000 1000 of o, first tag',
  'bytes=-5': '206 bytes 0-5/1000 6 of o, first tag',
  'bytes=-0': '206 bytes 0-999/1000 1000 of o, first tag',
  'bytes=0-1,5-6': '206 bytes 0-1/1000 2 of o, first tag',
  'items=2-3': '206 bytes 0-3/1000 4 of o, first tag',
};
for (const [range, expected] of Object.entries(ranges)) expect(range, await ask({ range }), expected);

writeFileSync('new.bin', 'n'.repeat(1500));
renameSync('new.bin', 'files/f.bin');
expect('replaced, whole', await ask({}), '200 whole 1000 of n, first tag');
expect('replaced, bytes=500-599', await ask({ range: 'bytes=500-599' }), '206 bytes 500-599/1000 100 of n, first tag');
expect('replaced, bytes=1200-1209', await ask({ range: 'bytes=1200-1209' }), '416 bytes */1000 0');
expect('replaced, If-None-Match', (await ask({ 'if-none-match': tag })).slice(0, 3), '304');
server.close();
server.closeAllConnections();
JS
node check.mjs
