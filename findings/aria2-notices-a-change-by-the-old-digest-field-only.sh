#!/usr/bin/env bash
# aria2c downloads parts of a file in parallel, compares neither entity-tags nor dates, and sends no If-Range; so a file
# that is replaced by one of the same length comes out as parts of both. It does send Want-Digest, though, and whoever
# answers by Digest (RFC 3230, obsolete since RFC 9530) protects it: it holds every part's Digest against the first one's,
# gives up the part that has another one and fetches it by the connection it has, and in the end checks the whole file.
# Repr-Digest, which replaces Digest, and Content-MD5 are not looked at. SHA-256 and SHA of Digest are.
#
# Seen with aria2 1.36.0 (Debian 12), four connections, replaced after the first request; an answer that has begun goes
# on with the old version:
#   asks for digests: Want-Digest: SHA-512;q=1, SHA-256;q=1, SHA;q=0.1
#   no digest: exit 0, some of the old version, some of the new one
#   Repr-Digest: exit 0, some of the old version, some of the new one
#   Content-MD5: exit 0, some of the old version, some of the new one
#   Digest in the first answer only: exit 32 (checksum)
#   Digest in each answer: exit 0, all of the old version
#
# Exits 0 when that is so, 1 when it has changed, 77 when aria2c or node is missing.
set -euo pipefail
for tool in aria2c node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const size = 4 << 20;
const piece = 1 << 16;
const hash = (name, version) => createHash(name).update(version).digest('base64');
const versions = [Buffer.alloc(size, 'o'), Buffer.alloc(size, 'n')];
const ways = {
  'no digest': () => ({}),
  'Repr-Digest': (version) => ({ 'repr-digest': `sha-256=:${hash('sha256', version)}:` }),
  'Content-MD5': (version) => ({ 'content-md5': hash('md5', version) }),
  'Digest in the first answer only': (version, first) => (first ? { digest: `SHA-256=${hash('sha256', version)}` } : {}),
  'Digest in each answer': (version) => ({ digest: `SHA-256=${hash('sha256', version)}` }),
};

async function download(fieldsOf) {
  let requests = 0;
  let wanted;
  const server = createServer(async ({ headers }, response) => {
    const first = requests++ === 0;
    wanted ??= headers['want-digest'];
    const version = versions[first ? 0 : 1];
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? ['', 0, ''];
    const last = to === '' ? size - 1 : Number(to);
    const body = version.subarray(Number(from), last + 1);
    const fields = { etag: first ? '"o"' : '"n"', 'accept-ranges': 'bytes', 'content-length': body.length };
    const range = headers.range ? { 'content-range': `bytes ${from}-${last}/${size}` } : {};
    response.writeHead(headers.range ? 206 : 200, { ...fields, ...range, ...fieldsOf(version, first) });
    // The first answer is slow, so that the other connections get their parts of the file.
    for (let at = 0; at < body.length && !response.destroyed; at += piece) {
      response.write(body.subarray(at, at + piece));
      if (first) await new Promise((resolve) => setTimeout(resolve, 30));
    }
    response.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const cwd = mkdtempSync('run-');
  const options = ['--no-conf', '-q', '-x4', '-s4', '-k1M', '-o', 'f', `http://127.0.0.1:${server.address().port}/f`];
  const [code] = await once(spawn('aria2c', options, { cwd, stdio: 'ignore' }), 'close');
  server.close();
  server.closeAllConnections();
  const text = readFileSync(`${cwd}/f`, 'latin1');
  const [old, recent] = ['o', 'n'].map((letter) => text.split(letter).length - 1);
  return { code, wanted, old, recent };
}

const seen = {};
for (const [name, fieldsOf] of Object.entries(ways)) {
  seen[name] = await download(fieldsOf);
  const { code, old, recent } = seen[name];
  console.log(`${name}: exit ${code}, ${old} bytes of the old version, ${recent} of the new one`);
}
console.log(`asks for digests: Want-Digest: ${seen['no digest'].wanted}`);
const joined = ({ code, old, recent }) => code === 0 && old > 0 && recent > 0 && old + recent === size;
const checked = seen['Digest in the first answer only'].code === 32;
const whole = seen['Digest in each answer'];
const unprotected = ['no digest', 'Repr-Digest', 'Content-MD5'].every((name) => joined(seen[name]));
const protects = checked && whole.code === 0 && whole.old === size;
process.exitCode = unprotected && protects && /SHA-256/.test(seen['no digest'].wanted) ? 0 : 1;
JS
aria2c --version | sed -n 1p
node check.mjs
