/** Node's own fetch: streamed, in ranges, and left in the middle. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { clientTest, untilNothingHeld } from '../support/client-tools.ts';
import { outcomesOf, referencesOf } from '../support/holds.ts';
import { sha256OfFile } from '../support/regions.ts';

async function hashOf(response: Response): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of response.body ?? []) hash.update(chunk);
  return hash.digest('hex');
}

clientTest('fetch streams the whole region', [], async (_t, served) => {
  const response = await fetch(served.url);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-length'), String(served.file.size));
  assert.equal(await hashOf(response), served.sha256);
});

clientTest('fetch gets many ranges at once', [], async (_t, served) => {
  const { path, size } = served.file;
  const step = 4_000_037;
  const starts = Array.from({ length: Math.ceil(size / step) }, (_, index) => index * step);
  const fetchFrom = async (first: number) => {
    const last = Math.min(first + step, size) - 1;
    const response = await fetch(served.url, { headers: { range: `bytes=${first}-${last}` } });
    assert.equal(response.status, 206);
    assert.equal(response.headers.get('content-range'), `bytes ${first}-${last}/${size}`);
    assert.equal(await hashOf(response), sha256OfFile(path, first, last));
  };
  await Promise.all(starts.map(fetchFrom));
});

clientTest('a fetch that is given up in the middle leaves nothing held', [], async (_t, served) => {
  const controller = new AbortController();
  const { body } = await fetch(served.url, { signal: controller.signal });
  const reader = body?.getReader();
  await reader?.read();
  assert.notDeepEqual(await referencesOf(served), [], 'pages on their way are held');
  controller.abort();
  await assert.rejects(async () => reader?.read(), { name: 'AbortError' });
  await untilNothingHeld(served);
  assert.deepEqual(outcomesOf(served.service), { aborted: 1 });
  assert.equal(await hashOf(await fetch(served.url)), served.sha256);
});
