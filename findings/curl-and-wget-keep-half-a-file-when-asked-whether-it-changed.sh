#!/usr/bin/env bash
# curl and wget take half a file for the whole one when they are run again with a condition. The first run is cut off in
# the middle of the body and fails, as it should. The second one asks whether the file has changed, hears 304, says
# nothing and exits with 0; the half stays for good, whatever -C - and -c ask for.
# - curl --etag-save writes the entity-tag down when the fields arrive, and keeps it when the body fails.
# - curl -z FILE, and wget -N, state the time of the half, which is that of the broken download: later than
#   Last-Modified. wget -N compares sizes only with --no-if-modified-since.
#
# Seen with curl 7.88.1 and GNU Wget 1.21.3 (Debian 12), 40 of 100 bytes before the cut:
#   curl --etag-save --etag-compare: exit 18, then 0 with 40 bytes
#   curl --etag-save --etag-compare -C -: exit 18, then 0 with 40 bytes (asked for bytes=40- and If-None-Match)
#   curl -R -z: exit 18, then 0 with 40 bytes
#   wget -N: exit 4, then 0 with 40 bytes
#   wget -N -c: exit 4, then 0 with 40 bytes (asked for bytes=40- and If-Modified-Since)
#   wget -N --no-if-modified-since: exit 4, then 0 with 100 bytes
#
# Exits 0 when that is so, 1 when it has changed, 77 when curl, wget or node is missing.
set -euo pipefail
for tool in curl wget node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const whole = Buffer.alloc(100, 'x');
const fields = { etag: '"one"', 'last-modified': 'Sun, 01 Nov 2026 10:00:00 GMT', 'accept-ranges': 'bytes' };
let cut = true;
let asked = '';
const server = createServer(({ method, headers }, response) => {
  const condition = ['if-none-match', 'if-modified-since'].find((name) => headers[name]);
  asked = [headers.range, condition].filter(Boolean).join(' and ');
  const since = new Date(headers['if-modified-since'] ?? 0) >= new Date(fields['last-modified']);
  if (headers['if-none-match'] === fields.etag || (!headers['if-none-match'] && since)) {
    return response.writeHead(304, fields).end();
  }
  response.writeHead(200, { ...fields, 'content-length': whole.length });
  if (method === 'HEAD' || !cut) return response.end(whole);
  response.write(whole.subarray(0, 40), () => setTimeout(() => response.destroy(), 100));
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}/f`;

async function run([command, ...options], cwd) {
  const [code] = await once(spawn(command, [...options, url], { cwd, stdio: 'ignore' }), 'close');
  return code;
}

const curl = ['curl', '-q', '-sS', '-f', '-o', 'f'];
const wget = ['wget', '--no-config', '-q', '-t1'];
const tags = ['--etag-save', 't', '--etag-compare', 't'];
const cases = [
  ['curl --etag-save --etag-compare', [...curl, '--etag-save', 't'], [...curl, ...tags], 40],
  ['curl --etag-save --etag-compare -C -', [...curl, '--etag-save', 't'], [...curl, ...tags, '-C', '-'], 40],
  ['curl -R -z', [...curl, '-R'], [...curl, '-R', '-z', 'f'], 40],
  ['wget -N', [...wget, '-N'], [...wget, '-N'], 40],
  ['wget -N -c', [...wget, '-N'], [...wget, '-N', '-c'], 40],
  ['wget -N --no-if-modified-since', [...wget, '-N'], [...wget, '-N', '--no-if-modified-since'], 100],
];
for (const [name, first, second, expected] of cases) {
  const cwd = mkdtempSync('run-');
  cut = true;
  const failed = await run(first, cwd);
  cut = false;
  const code = await run(second, cwd);
  const { length } = readFileSync(`${cwd}/f`);
  console.log(`${name}: exit ${failed}, then ${code} with ${length} bytes (asked for ${asked || 'the file'})`);
  if (failed === 0 || code !== 0 || length !== expected) process.exitCode = 1;
}
server.close();
server.closeAllConnections();
JS
curl --version | sed -n 1p | cut -d" " -f1-2
wget --version | sed -n 1p
node check.mjs
