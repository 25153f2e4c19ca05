/** curl: one range, several, everything, and the rest of what a killed curl has left. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  assertWhole,
  clientTest,
  killInTransfer,
  program,
  runTool,
  type Served,
  startTool,
} from '../support/client-tools.ts';
import { parseMultipart } from '../support/multipart.ts';
import { bytesOf, sha256, sha256OfFile } from '../support/regions.ts';

const curl = program('curl', 'curl');
const told = '%{http_code} %{size_download} %{content_type}';

async function fetched(t: TestContext, served: Served, ...args: string[]): Promise<{ told: string; body: Buffer }> {
  const path = join(served.output, 'body');
  const child = await runTool(t, curl, ['-q', '-sS', '-w', told, '-o', path, ...args, served.url]);
  return { told: child.stdout(), body: readFileSync(path) };
}

clientTest('curl gets one range', [curl], async (t, served) => {
  const first = 1234567;
  const last = first + 20_000_000;
  const { told, body } = await fetched(t, served, '-r', `${first}-${last}`);
  assert.match(told, /^206 20000001 /);
  assert.equal(sha256(body), sha256OfFile(served.file.path, first, last));
});

clientTest('curl gets several ranges, each a part that says which it is', [curl], async (t, served) => {
  const { size, path } = served.file;
  const wanted = [
    [0, 99],
    [200, 299],
    [5_000_000, 9_000_001],
    [size - 4099, size - 1],
  ] as const;
  const { told, body } = await fetched(t, served, '-r', '0-99,200-299,5000000-9000001,-4099');
  const [, length, ...contentType] = told.split(' ');
  assert.match(told, /^206 /);
  assert.equal(Number(length), body.length);
  const parts = parseMultipart(contentType.join(' '), body);
  assert.deepEqual(
    parts.map((part) => part.fields.get('content-range')),
    wanted.map(([first, last]) => `bytes ${first}-${last}/${size}`),
  );
  for (const [index, [first, last]] of wanted.entries()) {
    assert.ok(parts[index]?.body.equals(bytesOf(path, first, last)), `part ${first}-${last}`);
  }
});

clientTest('curl gets the whole region', [curl], async (t, served) => {
  const { told, body } = await fetched(t, served);
  assert.ok(told.startsWith(`200 ${served.file.size} `), told);
  assert.equal(sha256(body), served.sha256);
});

clientTest('curl gets ten responses over one connection', [curl], async (t, served) => {
  const { path } = served.file;
  const bodies = join(served.output, 'body-#1');
  const url = `${served.url}?[0-9]`;
  const args = ['-q', '-sS', '-r', '4000-300000', '-w', '%{http_code} %{num_connects}\n', '-o', bodies];
  const child = await runTool(t, curl, [...args, url]);
  assert.deepEqual(child.stdout().trim().split('\n'), ['206 1', ...Array.from({ length: 9 }, () => '206 0')]);
  const expected = sha256OfFile(path, 4000, 300000);
  for (let turn = 0; turn < 10; turn++) {
    assert.equal(sha256(readFileSync(join(served.output, `body-${turn}`))), expected);
  }
});

clientTest('curl goes on where a killed curl has stopped', [curl], async (t, served) => {
  const path = join(served.output, 'download');
  const args = ['-q', '-sS', '-o', path];
  const killed = startTool(t, curl, [...args, '--limit-rate', '8M', served.url]);
  const left = await killInTransfer(served, killed, path);
  const child = await runTool(t, curl, [...args, '-C', '-', '-w', told, served.url]);
  assert.ok(child.stdout().startsWith(`206 ${served.file.size - left} `), child.stdout());
  assertWhole(served, path);
});
