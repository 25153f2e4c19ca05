#!/usr/bin/env bash
# A download was broken off after 150 bytes, and the file is then replaced by one of 100. wget -c, aria2c -c and lftp
# get -c are resumed: they leave the 150 old bytes as they are, say that all is done and exit with 0. curl -C - fails.
# - wget asks for bytes=150- and takes 416 for "already fully retrieved", whatever Content-Range says. It takes a 200 for
#   that too when its Content-Length is no more than what is there, and so never says what the server answered.
# - lftp takes the 416 in the same way, and says nothing.
# - aria2c (without its .aria2 file) asks for the file without Range, sees that there is more than that, and downloads
#   nothing.
#
# Seen with GNU Wget 1.21.3, aria2 1.36.0, LFTP 4.9.2, curl 7.88.1 (Debian 12):
#   wget -c, answered 416: exit 0, 150 old bytes (asked for bytes=150-)
#   wget -c, answered 200: exit 0, 150 old bytes (asked for bytes=150-)
#   lftp get -c, answered 416: exit 0, 150 old bytes (asked for bytes=150-)
#   aria2c -c, answered 200: exit 0, 150 old bytes (asked for the whole)
#   curl -f -C -, answered 416: exit 22, 150 old bytes (asked for bytes=150-)
#
# Exits 0 when that is so, 1 when it has changed, 77 when one of the four, or node, is missing.
set -euo pipefail
for tool in wget aria2c lftp curl node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

let ranges = true; // whether the server knows Range
let asked;
let status;
const server = createServer(({ headers }, response) => {
  asked = headers.range ?? 'the whole';
  status = headers.range && ranges ? 416 : 200;
  const fields = { etag: '"new"', 'accept-ranges': 'bytes' };
  if (status === 200) response.writeHead(200, { ...fields, 'content-length': 100 }).end('n'.repeat(100));
  else response.writeHead(416, { ...fields, 'content-range': 'bytes */100', 'content-length': 0 }).end();
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}/f`;

const wget = ['wget', '--no-config', '-q', '-t1', '-c', '-O', 'f', url];
const lftp = ['lftp', '--norc', '-c', `set net:max-retries 1; get -c ${url} -o f`];
const cases = [
  ['wget -c', wget, true, 416, 0],
  ['wget -c', wget, false, 200, 0],
  ['lftp get -c', lftp, true, 416, 0],
  ['aria2c -c', ['aria2c', '--no-conf', '-c', '-o', 'f', url], true, 200, 0],
  ['curl -f -C -', ['curl', '-q', '-sS', '-f', '-C', '-', '-o', 'f', url], true, 416, 22],
];
for (const [name, [command, ...options], knowsRange, answer, expected] of cases) {
  const cwd = mkdtempSync('run-');
  writeFileSync(`${cwd}/f`, 'o'.repeat(150));
  ranges = knowsRange;
  const [code] = await once(spawn(command, options, { cwd, stdio: 'ignore' }), 'close');
  const text = readFileSync(`${cwd}/f`, 'latin1');
  const kept = text === 'o'.repeat(150) ? '150 old bytes' : `${text.length} bytes`;
  console.log(`${name}, answered ${status}: exit ${code}, ${kept} (asked for ${asked})`);
  if (code !== expected || kept !== '150 old bytes' || status !== answer) process.exitCode = 1;
}
server.close();
server.closeAllConnections();
JS
for tool in wget aria2c lftp curl; do "$tool" --version | sed -n 1p; done
node check.mjs
