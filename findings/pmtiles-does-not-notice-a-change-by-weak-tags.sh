#!/usr/bin/env bash
# pmtiles 4.5.0 (FetchSource.getBytes) compares entity-tags so that it does not join parts of two versions of an archive:
# with strong tags it throws when the file was replaced between two range requests. A weak tag (RFC 9110 8.8.3), which
# servers and proxies give when they compress or when they are not sure, it drops: parts of both versions come back
# without an error.
#
# Seen with Node 20 and 24 on Linux:
#   strong tags: the second read throws
#   weak tags: the tag that is kept is undefined; the second read gives the new version's bytes
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save pmtiles@4.5.0 >/dev/null
cat >check.mjs <<'JS'
import { createServer } from 'node:http';
import { FetchSource } from 'pmtiles';

/** Reads ten bytes of one version, then ten of the next. */
async function readTwice(tagOf) {
  let requests = 0;
  const server = createServer((request, response) => {
    const version = requests++ === 0 ? 'a' : 'b';
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range).map(Number);
    response.writeHead(206, { etag: tagOf(version), 'content-range': `bytes ${first}-${last}/1000` });
    response.end(version.repeat(last - first + 1));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const source = new FetchSource(`http://127.0.0.1:${server.address().port}/archive.pmtiles`);
  const { etag } = await source.getBytes(0, 10);
  const second = await source.getBytes(10, 10, undefined, etag).then(({ data }) => Buffer.from(data).toString(), () => 'throws');
  server.close();
  server.closeAllConnections();
  return { etag, second };
}

const strong = await readTwice((version) => `"${version}"`);
const weak = await readTwice((version) => `W/"${version}"`);
console.log(`strong tags: the second read ${strong.second}`);
console.log(`weak tags: the tag that is kept is ${weak.etag}; the second read gives ${weak.second}`);
process.exitCode = strong.second === 'throws' && weak.etag === undefined && weak.second === 'b'.repeat(10) ? 0 : 1;
JS
node check.mjs
