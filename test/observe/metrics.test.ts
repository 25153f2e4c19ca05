import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../src/observe/metrics.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';

const counts = { externalChanges: { replaced: 0, changed: 0, removed: 0 }, changes: undefined };

const relied = [
  'pagerelay_sent_bytes_total{engine="stream"} 0',
  'pagerelay_transmissions_total{engine="sendfile",outcome="complete"} 0',
  'pagerelay_references 0',
  'pagerelay_held_bytes 0',
  'pagerelay_quarantined_bytes 0',
  'pagerelay_hold_seconds_count 0',
];

test('the metrics that others rely on are there from the start, at zero', async () => {
  const text = await new Metrics(new PortableRelay('a test'), counts).text();
  for (const line of relied) assert.ok(text.includes(`\n${line}\n`), line);
});

test('the histogram of hold times is cumulative and ends at infinity', async () => {
  const relay = new PortableRelay('a test');
  const generation = relay.openGeneration(undefined, import.meta.filename);
  const held = relay.hold({ generation, epoch: 0, version: 0 }, 'stream', [{ offset: 0, length: 1 }]);
  assert.ok(typeof held === 'number');
  relay.release(held, 'complete');
  const text = await new Metrics(relay, counts).text();
  assert.match(text, /pagerelay_hold_seconds_bucket\{le="300"\} 1\n/);
  assert.match(text, /pagerelay_hold_seconds_bucket\{le="\+Inf"\} 1\n/);
  assert.match(text, /pagerelay_hold_seconds_count 1\n/);
  relay.close();
});

test('methods that clients invent share one label', async () => {
  const metrics = new Metrics(new PortableRelay('a test'), counts);
  for (let each = 0; each < 100; each++) metrics.countRequest(`X${each}`, 400);
  const text = await metrics.text();
  assert.match(text, /pagerelay_http_requests_total\{method="other",status="400"\} 100\n/);
  assert.equal(text.match(/pagerelay_http_requests_total\{/g)?.length, 1);
});
