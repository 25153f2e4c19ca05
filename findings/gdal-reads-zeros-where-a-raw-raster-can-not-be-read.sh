#!/usr/bin/env bash
# GDAL takes a failed request for zeros where it reads a raw raster over HTTP (ENVI, VRTRawRasterBand by /vsicurl/), says
# nothing and ends with 0. Of a GeoTIFF in the same place it says what has failed, and ends with 1.
#
# Seen with GDAL 3.6.2 (Debian 12). The server gives the first 64 KiB of 1 MiB and answers 412 to all ranges behind them:
#   a raw raster: exit 0, 1048576 bytes, 983040 of them zero, 0 lines of errors
#   a GeoTIFF: exit 1
#
# Exits 0 when that is so, 1 when it has changed, 77 when gdal_translate or node is missing.
set -euo pipefail
for tool in gdal_translate node; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >check.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const size = 1 << 20;
const given = 1 << 16;
const raw = Buffer.alloc(size, 'x');
let tiff = Buffer.alloc(0);
const server = createServer(({ method, url, headers }, response) => {
  const content = { '/raw.bin': raw, '/grey.tif': tiff }[url];
  if (!content) return response.writeHead(404, { 'content-length': 0 }).end();
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  const fields = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };
  if (method === 'HEAD') return response.writeHead(200, { ...fields, 'content-length': content.length }).end();
  if (Number(first ?? 0) >= given) return response.writeHead(412, { 'content-length': 0 }).end();
  const body = content.subarray(Number(first ?? 0), Math.min(Number(last ?? content.length) + 1, given));
  const range = `bytes ${first}-${Number(first) + body.length - 1}/${content.length}`;
  response.writeHead(206, { ...fields, 'content-range': range, 'content-length': body.length }).end(body);
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const origin = `http://127.0.0.1:${server.address().port}`;

async function translate(...args) {
  const child = spawn('gdal_translate', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  const [code] = await once(child, 'close');
  return { code, errors: errors.split('\n').filter(Boolean).length };
}

const band = (file) =>
  `<VRTDataset rasterXSize="1024" rasterYSize="${size / 1024}"><VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">
  <SourceFilename relativeToVRT="0">${file}</SourceFilename>
  <ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>1024</LineOffset></VRTRasterBand></VRTDataset>`;
writeFileSync('local.bin', raw);
writeFileSync('local.vrt', band('local.bin'));
await translate('-of', 'GTiff', 'local.vrt', 'grey.tif');
tiff = readFileSync('grey.tif');
writeFileSync('remote.vrt', band(`/vsicurl/${origin}/raw.bin`));

const ofRaw = await translate('-of', 'ENVI', 'remote.vrt', 'raw.made');
const made = existsSync('raw.made') ? readFileSync('raw.made') : Buffer.alloc(0);
const zeros = made.filter((byte) => byte === 0).length;
const shown = [
  `a raw raster: exit ${ofRaw.code}, ${made.length} bytes, ${zeros} of them zero, ${ofRaw.errors} lines of errors`,
  `a GeoTIFF: exit ${(await translate('-of', 'ENVI', `/vsicurl/${origin}/grey.tif`, 'tiff.made')).code}`,
];
console.log(shown.join('\n'));
server.close();
const expected = [
  `a raw raster: exit 0, ${size} bytes, ${size - given} of them zero, 0 lines of errors`,
  'a GeoTIFF: exit 1',
];
process.exit(shown.join() === expected.join() ? 0 : 1);
JS
gdal_translate --version
node check.mjs
