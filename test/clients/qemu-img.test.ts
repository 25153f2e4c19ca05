/** qemu-img: disk images read in place, by ranges. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { clientTest, installedFile, program, runTool, type Served } from '../support/client-tools.ts';
import { bytesOf, type RegionFile, sha256OfFile, writeSparseRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';

const qemuImg = program('qemu-img', 'qemu-utils');
const curlDriver = installedFile('/usr/lib/*/qemu/block-curl.so', 'qemu-block-extra');
const mebibyte = 1 << 20;
const sector = 512;
const virtualSize = 192 * mebibyte;
// One request at a time: with more (-m), QEMU 7.2's http driver now and then loses a wake-up and waits for ever, over
// any server: one conversion in four hung over nginx, none of 150 with this.
const oneByOne = ['-m', '1'];

function overHttp(driver: 'raw' | 'qcow2', { url }: Served): string {
  return `json:${JSON.stringify({ driver, file: { driver: 'http', url, readahead: 65536 } })}`;
}

clientTest('qemu-img reads a raw image, the odd end of it too', [qemuImg, curlDriver], async (t, served) => {
  const { path, size } = served.file;
  const copy = join(served.output, 'copy.raw');
  await runTool(t, qemuImg, ['convert', ...oneByOne, '-O', 'raw', overHttp('raw', served), copy]);
  const { size: copied } = statSync(copy);
  assert.equal(copied, Math.ceil(size / sector) * sector, 'the image, in whole sectors');
  assert.equal(sha256OfFile(copy, 0, size - 1), served.sha256);
  assert.ok(bytesOf(copy, size, copied - 1).every((byte) => byte === 0));
  await runTool(t, qemuImg, ['compare', '-f', 'raw', path, overHttp('raw', served)]);
});

async function writeQcow2(folder: string, scope: Scope): Promise<RegionFile> {
  const disk = writeSparseRegion(folder, 'disk.raw', virtualSize, 4);
  const path = join(folder, 'disk.qcow2');
  await runTool(scope, qemuImg, ['convert', '-c', '-f', 'raw', '-O', 'qcow2', disk.path, path]);
  return { name: 'disk.qcow2', path, size: statSync(path).size };
}

clientTest(
  'qemu-img reads a compressed qcow2 image, led by the tables in it',
  [qemuImg, curlDriver],
  async (t, served) => {
    const disk = served.file.path.replace('.qcow2', '.raw');
    const copy = join(served.output, 'copy.raw');
    await runTool(t, qemuImg, ['convert', ...oneByOne, '-O', 'raw', overHttp('qcow2', served), copy]);
    assert.equal(sha256OfFile(copy, 0, virtualSize - 1), sha256OfFile(disk, 0, virtualSize - 1));
    await runTool(t, qemuImg, ['check', overHttp('qcow2', served)]);
    await runTool(t, qemuImg, ['compare', '-f', 'raw', disk, overHttp('qcow2', served)]);
  },
  { write: writeQcow2 },
);
