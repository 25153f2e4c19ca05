import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { demoPage, makeDemo } from '../../src/region/demo.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';

test('every page of the demo region says which it is, on every line', () => {
  const lines = demoPage(3).toString('latin1').split('\n');
  assert.equal(lines.length, 65);
  assert.match(lines[0] ?? '', /^pagerelay demo: page 3, bytes 12288-16383 +$/);
  assert.equal(new Set(lines.slice(0, 64)).size, 1);
});

const relays = { native: () => openRelay({ lanes: 1, maxHold: 1 }), portable: () => new PortableRelay('a test') };
for (const [kind, open] of Object.entries(relays)) {
  test(`${kind}: the demo region is 64 MiB of such pages`, (t) => {
    const opened = open();
    const demo = makeDemo(opened);
    t.after(() => {
      demo.close();
      opened.close();
    });
    const bytes = readFileSync(demo.file.path);
    assert.equal(bytes.length, 64 * 1024 * 1024);
    for (const page of [0, 255, 256, 16_383]) {
      assert.deepEqual(bytes.subarray(page * 4096, (page + 1) * 4096), demoPage(page));
    }
  });
}
