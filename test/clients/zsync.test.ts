/** zsync: asks for the blocks that its old copy lacks, 20 ranges a request. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertWhole, clientTest, program, runTool } from '../support/client-tools.ts';
import { writeRegion } from '../support/regions.ts';

const zsync = program('zsync', 'zsync');
const env = program('env', 'coreutils');
const zsyncmake = program('zsyncmake', 'zsync');

const size = 4 * (1 << 20) + 4097;
const changes = 40;

clientTest(
  `zsync makes a region out of a copy that differs in ${changes} places`,
  [zsync, zsyncmake, env],
  async (t, served) => {
    const control = join(served.output, 'region.zsync');
    await runTool(t, zsyncmake, ['-u', served.url, '-o', control, served.file.path]);
    const seed = join(served.output, 'seed');
    writeFileSync(seed, changed(readFileSync(served.file.path)));

    const made = join(served.output, 'made');
    // It writes where it is started, and renames from there.
    await runTool(t, env, ['-C', served.output, zsync.path ?? '', '-i', seed, '-o', made, control]);

    assertWhole(served, made);
    const { fields } = await multipartOf(served.url);
    assert.match(fields.get('content-type') ?? '', /^multipart\/byteranges;/, 'what zsync has read');
  },
  { write: (folder) => writeRegion(folder, 'region.bin', size, 20) },
);

/** Far from each other, so that no two of the ranges that are asked for touch. */
function changed(bytes: Buffer): Buffer {
  const every = Math.floor(bytes.length / changes);
  for (let at = 0; at < changes; at++) bytes.fill(at, at * every + 100, at * every + 200);
  return bytes;
}

async function multipartOf(url: string): Promise<{ fields: Headers }> {
  const response = await fetch(url, { headers: { range: 'bytes=0-0,100-100' } });
  await response.arrayBuffer();
  return { fields: response.headers };
}
