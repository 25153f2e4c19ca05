/** Python's standard library: http.client, urllib, and its parser for multipart. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { clientTest, program, runTool, type Served } from '../support/client-tools.ts';
import { sha256, sha256OfFile } from '../support/regions.ts';

const python = program('python3', 'python3');
const script = fileURLToPath(new URL('../support/python-client.py', import.meta.url));

type Shown = readonly [what: string, status: number, contentRange: string | null, sha256: string];

function expectedOf({ file: { path, size }, sha256: whole }: Served): Shown[] {
  const range = (what: string, first: number, last: number): Shown => {
    return [what, 206, `bytes ${first}-${last}/${size}`, sha256OfFile(path, first, last)];
  };
  return [
    range('0-0', 0, 0),
    range('4095-4096', 4095, 4096),
    range(`1000000-${size - 2}`, 1_000_000, size - 2),
    range('-65537', size - 65537, size - 1),
    range('part', 5, 1004),
    range('part', 70_000, 170_000),
    range('part', size - 777, size - 1),
    range('urllib', 12_345, 7_654_321),
    ['whole', 200, null, whole],
    ['outside', 416, `bytes */${size}`, sha256(Buffer.alloc(0))],
  ];
}

clientTest('Python gets ranges, parts and everything', [python], async (t, served) => {
  const { port, file } = served;
  const child = await runTool(t, python, ['-I', script, String(port), `/regions/${file.name}`, String(file.size)]);
  const shown = child.stdout().trim().split('\n');
  assert.deepEqual(
    shown.map((line) => JSON.parse(line) as Shown),
    expectedOf(served),
  );
});
