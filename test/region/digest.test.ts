import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Digests } from '../../src/region/digest.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';
import { until } from '../support/poll.ts';

const relays = { native: () => openRelay({ lanes: 1, maxHold: 10 }), portable: () => new PortableRelay('a test') };

for (const [kind, open] of Object.entries(relays)) {
  test(`${kind}: a digest is computed once, and known after its generation is closed`, {
    timeout: 20_000,
  }, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'pagerelay-test-'));
    const relay = open();
    t.after(async () => {
      await relay.close();
      rmSync(dir, { recursive: true });
    });
    const bytes = Buffer.alloc(3_000_001, 'digest me');
    writeFileSync(join(dir, 'file'), bytes);
    const content = { generation: relay.openGeneration(undefined, join(dir, 'file')), epoch: 0, version: 0 };
    const digests = new Digests(relay);
    const before = readdirSync('/proc/self/fd').length;
    const expected = createHash('sha256').update(bytes).digest('base64');
    assert.equal(await digests.of(content), expected);
    relay.closeGeneration(content.generation);
    assert.equal(await digests.of(content), expected, 'known, though the generation is gone');
    // The worker's own go when it has ended.
    await until(() => readdirSync('/proc/self/fd').length === before - 1, 'only the generation’s own descriptor went');
  });
}
