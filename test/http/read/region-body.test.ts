import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { RegionBody } from '../../../src/http/read/region-body.ts';
import { planRange } from '../../../src/range/plan.ts';
import { openRelay } from '../../../src/relay/open-relay.ts';
import { PortableRelay } from '../../../src/relay/portable-relay.ts';
import type { Relay } from '../../../src/relay/relay.ts';

const size = 1_000_000;

function fixture(t: TestContext, relay: Relay, maxHold = 10) {
  const dir = mkdtempSync(join(tmpdir(), 'pagerelay-test-'));
  const path = join(dir, 'file');
  writeFileSync(path, 'x'.repeat(size));
  t.after(async () => {
    await relay.close();
    rmSync(dir, { recursive: true });
  });
  const generation = relay.openGeneration(undefined, path);
  const content = { generation, epoch: 0, version: 0 };
  const plan = planRange({ size, contentType: 'text/plain' }, { first: 5, last: 900_004 });
  const transmission = relay.hold(content, 'copy', plan.segments);
  assert.ok(typeof transmission === 'number');
  const body = new RegionBody({
    relay,
    content,
    plan,
    transmission,
    connection: undefined,
    engine: 'stream',
    trace: undefined,
    maxHold,
  });
  return { path, body };
}

const relays = { native: () => openRelay({ lanes: 1, maxHold: 10 }), portable: () => new PortableRelay('a test') };

for (const [kind, open] of Object.entries(relays)) {
  test(`${kind}: a body that is read gives its bytes and then its reference`, async (t) => {
    const relay = open();
    const { body } = fixture(t, relay);
    assert.equal(relay.references().items[0]?.bytes, 900_000);
    assert.equal((await buffer(body)).length, 900_000);
    assert.deepEqual(await body.sent, { outcome: 'complete', code: undefined, bytes: 900_000 });
    const counters = relay.counters();
    assert.equal(counters.references, 0);
    assert.equal(counters.heldBytes, 0);
    assert.equal(counters.sentBytes[kind === 'native' ? 'stream' : 'copy'], 900_000);
  });

  test(`${kind}: a file that became shorter ends the body by an error, not by padding`, async (t) => {
    const relay = open();
    const { body, path } = fixture(t, relay);
    writeFileSync(path, 'y');
    await assert.rejects(buffer(body), { code: 'ENODATA' });
    assert.equal((await body.sent).outcome, 'truncated');
    assert.equal(relay.counters().references, 0);
  });

  test(`${kind}: a body that nobody goes on reading is ended at the longest hold`, async (t) => {
    const relay = open();
    const { body } = fixture(t, relay, 0.05);
    body.on('error', () => {});
    body.read(0);
    assert.equal((await body.sent).outcome, 'stalled');
    assert.equal(relay.counters().references, 0);
  });

  test(`${kind}: a body that is never read gives its reference back when it is destroyed`, async (t) => {
    const relay = open();
    const { body } = fixture(t, relay);
    body.destroy();
    assert.deepEqual(await body.sent, { outcome: 'aborted', code: undefined, bytes: 0 });
    assert.equal(relay.counters().references, 0);
  });
}
