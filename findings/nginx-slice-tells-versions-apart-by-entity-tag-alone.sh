#!/usr/bin/env bash
# nginx with `slice` fetches and keeps a file in ranges. When the file is replaced after the first slice was kept:
# - without entity-tags it joins the versions, though their slices have different Last-Modified. The mixture is answered
#   with 200 or 206, from the cache, for as long as the slices are kept. A client that resumes by If-Range with the new
#   date hears 200 and gets fewer bytes than Content-Length says.
# - with entity-tags, strong or weak, it closes the connection ("etag mismatch in slice response") whenever an answer needs
#   slices of both. Nothing makes it fetch the old slice again: the whole file can't be had until that has gone from the
#   cache, while ranges inside a slice are answered all that time, some of the old version and some of the new one. On
#   the way it has fetched the first new slice each time anew, and does not keep it.
#
# Seen with nginx 1.22.1 (Debian 12), slices of 1000 bytes, 4000 bytes:
#   Last-Modified alone: whole 200, 1000 old and 3000 new bytes, twice; range over both 206, 10 old and 10 new; resumed
#     broken off
#   strong tag, weak tag: whole broken off, twice, and fetched twice; range over both broken off; resumed broken off; range
#     of slice 0: 206, 10 old; of slice 2: 206, 10 new
#
# Exits 0 when that is so, 1 when it has changed, 77 when nginx (with its slice module) or node is missing.
set -euo pipefail
PATH=$PATH:/usr/sbin
for tool in nginx node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
nginx -V 2>&1 | grep -q with-http_slice_module || { echo "missing: nginx's slice module" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';

const size = 4000;
let version; // 'o' or 'n'
let fields; // the validators of a version
let fetched = 0;
const origin = createServer(({ headers }, response) => {
  fetched += 1;
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range);
  const last = Math.min(size - 1, Number(to));
  const range = { 'content-range': `bytes ${from}-${last}/${size}`, 'content-length': last - Number(from) + 1 };
  response.writeHead(206, { ...fields(version), ...range }).end(version.repeat(last - Number(from) + 1));
});
await once(origin.listen('origin'), 'listening');
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${each};`);
writeFileSync(
  'nginx.conf',
  `daemon off; master_process off; pid nginx.pid; error_log errors.log;
  events {}
  http {
    access_log off; ${temporary.join(' ')}
    proxy_cache_path kept keys_zone=kept:1m;
    server {
      listen unix:nginx;
      location / {
        slice 1000; proxy_cache kept; proxy_cache_key $uri$slice_range; proxy_cache_valid 200 206 1h;
        proxy_http_version 1.1; proxy_set_header Range $slice_range; proxy_pass http://unix:origin;
      }
    }
  }`.replaceAll('unix:', `unix:${process.cwd()}/`),
);
const nginx = spawn('nginx', ['-e', 'errors.log', '-p', process.cwd(), '-c', 'nginx.conf'], { stdio: 'inherit' });
process.on('exit', () => nginx.kill());
for (let tries = 0; !existsSync('nginx.pid') && tries < 500; tries += 1) await new Promise((next) => setTimeout(next, 20));

function ask(path, headers) {
  return new Promise((resolve) => {
    const request = get({ socketPath: 'nginx', path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (part) => (text += part));
      response.on('close', () => {
        const count = (letter) => text.split(letter).length - 1;
        resolve(response.complete ? `${response.statusCode} ${count('o')} old ${count('n')} new` : 'broken off');
      });
    });
    request.on('error', () => resolve('broken off'));
  });
}

const dates = { o: 'Sun, 01 Nov 2026 10:00:00 GMT', n: 'Mon, 02 Nov 2026 10:00:00 GMT' };
const dated = (each) => ({ 'last-modified': dates[each] });
const kinds = {
  dated,
  strong: (each) => ({ ...dated(each), etag: `"${each}"` }),
  weak: (each) => ({ ...dated(each), etag: `W/"${each}"` }),
};
const seen = {};
for (const [name, validators] of Object.entries(kinds)) {
  const path = `/${name}`;
  fields = validators;
  version = 'o';
  await ask(path, { range: 'bytes=0-9' });
  version = 'n';
  fetched = 0;
  const whole = [await ask(path, {}), await ask(path, {})].join(', ');
  const requests = fetched;
  const both = await ask(path, { range: 'bytes=990-1009' });
  const resumed = await ask(path, { range: 'bytes=2000-', 'if-range': dates.n });
  const inside = [await ask(path, { range: 'bytes=0-9' }), await ask(path, { range: 'bytes=2000-2009' })].join(', ');
  seen[name] = [whole, requests, both, resumed, inside].join('; ');
  console.log(`${name}: whole ${whole} (${requests} fetched); over both ${both}; resumed ${resumed}; inside ${inside}`);
}
nginx.kill();
await once(nginx, 'exit');
origin.close();
origin.closeAllConnections();
const inside = '206 10 old 0 new, 206 0 old 10 new';
const joined = `200 1000 old 3000 new, 200 1000 old 3000 new; 3; 206 10 old 10 new; broken off; ${inside}`;
const broken = `broken off, broken off; 2; broken off; broken off; ${inside}`;
process.exitCode = seen.dated === joined && seen.strong === broken && seen.weak === broken ? 0 : 1;
JS
nginx -v
node check.mjs
