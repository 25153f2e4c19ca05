#!/usr/bin/env bash
# wget2 ends with 0 where a body was broken off, and where the server has refused what it asked for: of the errors that
# were tried, 404 alone makes its exit code another one. A script that downloads by wget2 can't tell a part from the whole.
#
# Seen with GNU Wget2 1.99.1 (Debian 12), 400,000 of 1,000,000 bytes before the cut, then wget2 -c again:
#   cut: exit 0 with 400000 bytes
#   then 403: exit 0 with 400000 bytes
#   then 404: exit 8 with 400000 bytes
#   then 410: exit 0 with 400000 bytes
#   then 412: exit 0 with 400000 bytes
#   then 416: exit 0 with 400000 bytes
#   then 500: exit 0 with 400000 bytes
#
# Exits 0 when that is so, 1 when it has changed, 77 when wget2 or node is missing.
set -euo pipefail
for tool in wget2 node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';

const whole = Buffer.alloc(1_000_000, 'x');
let status = 200;
const server = createServer((_, response) => {
  if (status !== 200) return response.writeHead(status, { 'content-length': 0 }).end();
  response.writeHead(200, { 'content-length': whole.length, 'accept-ranges': 'bytes' });
  response.write(whole.subarray(0, 400_000), () => setTimeout(() => response.destroy(), 200));
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${server.address().port}/f`;

async function run() {
  const child = spawn('wget2', ['--no-config', '-q', '--tries=1', '-c', url], { stdio: 'ignore' });
  const [code] = await once(child, 'close');
  return `exit ${code} with ${statSync('f').size} bytes`;
}

let same = true;
function show(what, seen, expected) {
  console.log(`${what}: ${seen}`);
  if (seen !== expected) same = false;
}
for (const next of [403, 404, 410, 412, 416, 500]) {
  rmSync('f', { force: true });
  status = 200;
  const cut = await run();
  if (next === 403 || !cut.startsWith('exit 0 ')) show('cut', cut, 'exit 0 with 400000 bytes');
  status = next;
  show(`then ${next}`, await run(), `exit ${next === 404 ? 8 : 0} with 400000 bytes`);
}
server.close();
process.exit(same ? 0 : 1);
JS
wget2 --version | head -1
node check.mjs
