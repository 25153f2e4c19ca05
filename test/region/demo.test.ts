import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeDemo } from '../../src/region/demo.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';

/** 64 equal lines of 64 bytes. */
function demoPage(page: number): Buffer {
  const line = `pagerelay demo: page ${page}, bytes ${page * 4096}-${page * 4096 + 4095}`;
  return Buffer.from(`${line.padEnd(63)}\n`.repeat(64));
}

const relays = { native: () => openRelay({ lanes: 1, maxHold: 1 }), portable: () => new PortableRelay('a test') };
for (const [kind, open] of Object.entries(relays)) {
  test(`${kind}: the demo region is 64 MiB of pages that say which they are on every line`, (t) => {
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
