#!/usr/bin/env bash
# Three caches hand ranges through until somebody has asked for the whole file, and then answer every range of it with 200
# and the whole, from memory. No request for a range makes them store, or cut. So a client that has read ranges by 206 gets a
# 200 in the middle, after a request of somebody else's. A server may ignore Range (RFC 9110 14.2), but several clients of
# ranges take such a body for the bytes that they asked for.
# HAProxy does not look at If-Match either: a client that resumes with a tag that is no longer so hears 200, not 412.
#
# Seen with HAProxy 2.6.12 (Debian 12), undici 8.13.1 (interceptors.cache), axios 1.21.1 with axios-cache-interceptor
# 1.12.3; the answers say Accept-Ranges: bytes, Cache-Control: public, max-age=60:
#   HAProxy: range 206 10 bytes, whole 200 4000 bytes, the same range 200 4000 bytes, with another If-Match 200 4000 bytes
#   undici: range 206 10 bytes, whole 200 4000 bytes, the same range 200 4000 bytes
#   axios: range 206 10 bytes, whole 200 4000 bytes, the same range 200 4000 bytes
#
# Exits 0 when that is so, 1 when it has changed, 77 when haproxy or Node 22 is missing.
set -euo pipefail
PATH=$PATH:/usr/sbin
for tool in haproxy node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
[ "$(node -p 'parseInt(process.versions.node)')" -ge 22 ] || { echo "missing: Node 22, undici 8 needs it" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save undici@8.13.1 axios@1.21.1 axios-cache-interceptor@1.12.3 >/dev/null
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import axios from 'axios';
import { setupCache } from 'axios-cache-interceptor';
import { Agent, interceptors, request } from 'undici';

const content = Buffer.alloc(4000, 'x');
const fields = { 'accept-ranges': 'bytes', 'cache-control': 'public, max-age=60', etag: '"one"', 'content-type': 'a/b' };
const ranges = {};
const origin = createServer(({ url, headers }, response) => {
  ranges[url] = [...(ranges[url] ?? []), headers.range ?? 'whole'];
  if (headers['if-match'] && headers['if-match'] !== fields.etag) return response.writeHead(412).end();
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  const body = from === undefined ? content : content.subarray(Number(from), Number(to) + 1);
  const range = from === undefined ? {} : { 'content-range': `bytes ${from}-${to}/${content.length}` };
  response.writeHead(from === undefined ? 200 : 206, { ...fields, ...range, 'content-length': body.length }).end(body);
});
await once(origin.listen(0, '127.0.0.1'), 'listening');
const { port } = origin.address();
const url = (name) => `http://127.0.0.1:${port}/${name}`;
writeFileSync(
  'haproxy.cfg',
  `defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
cache kept
  total-max-size 4
  max-age 60
frontend front
  bind unix@${process.cwd()}/haproxy
  http-request cache-use kept
  http-response cache-store kept
  default_backend back
backend back
  server origin 127.0.0.1:${port}
`,
);
const haproxy = spawn('haproxy', ['-q', '-f', 'haproxy.cfg'], { stdio: 'inherit' });
process.on('exit', () => haproxy.kill());
for (let tries = 0; !existsSync('haproxy') && tries < 500; tries += 1) await new Promise((next) => setTimeout(next, 20));

function byHaproxy(headers) {
  return new Promise((resolve, reject) => {
    const options = { socketPath: `${process.cwd()}/haproxy`, path: '/haproxy', headers, agent: false };
    const asked = get(options, async (response) => {
      const parts = await response.toArray();
      resolve(`${response.statusCode} ${Buffer.concat(parts).length} bytes`);
    });
    asked.on('error', reject);
  });
}
const dispatcher = new Agent().compose(interceptors.cache());
async function byUndici(headers) {
  const { statusCode, body } = await request(url('undici'), { dispatcher, headers });
  return `${statusCode} ${(await body.arrayBuffer()).byteLength} bytes`;
}
const client = setupCache(axios.create());
async function byAxios(headers) {
  const { status, data } = await client.get(url('axios'), { headers, responseType: 'arraybuffer' });
  return `${status} ${data.length} bytes`;
}

const range = { range: 'bytes=100-109' };
for (const [name, read] of Object.entries({ haproxy: byHaproxy, undici: byUndici, axios: byAxios })) {
  const first = await read(range);
  const whole = await read({});
  const again = await read(range);
  const asked = ranges[`/${name}`].join(', ');
  console.log(`${name}: range ${first}, whole ${whole}, the same range ${again}; the origin saw ${asked}`);
  if (first !== '206 10 bytes' || whole !== '200 4000 bytes' || again !== whole) process.exitCode = 1;
}
const conditional = await byHaproxy({ ...range, 'if-match': '"other"' });
console.log(`haproxy, If-Match with another tag: ${conditional}`);
if (conditional !== '200 4000 bytes' || ranges['/haproxy'].length !== 2) process.exitCode = 1;
haproxy.kill();
await once(haproxy, 'exit');
await dispatcher.close();
origin.close();
origin.closeAllConnections();
JS
haproxy -v | sed -n 1p
node check.mjs
