import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Exposition, Metrics, type Observed } from '../../src/observe/metrics.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';

const counts = {
  externalChanges: { replaced: 0, changed: 0, removed: 0 },
  kept: undefined,
  digests: { running: 0, outcomes: { computed: 0 } },
  changes: undefined,
};
const nothing = { counts, engines: () => [], regions: () => [] };

const relied = [
  'pagerelay_sent_bytes_total{engine="stream"} 0',
  'pagerelay_transmissions_total{engine="sendfile",outcome="complete"} 0',
  'pagerelay_references 0',
  'pagerelay_held_bytes 0',
  'pagerelay_quarantined_bytes 0',
  'pagerelay_hold_seconds_count 0',
  'pagerelay_express_requests_total 0',
  'pagerelay_express_accepted_total 0',
  'pagerelay_express_connections 0',
  'pagerelay_published_regions 0',
];

test('the metrics that others rely on are there from the start, at zero', async (t) => {
  const text = await metricsOf(t, new PortableRelay('a test')).text();
  for (const line of relied) assert.ok(text.includes(`\n${line}\n`), line);
});

test('the histogram of hold times is cumulative and ends at infinity', async (t) => {
  const relay = new PortableRelay('a test');
  const generation = relay.openGeneration(undefined, import.meta.filename);
  const held = relay.hold({ generation, epoch: 0, version: 0 }, 'stream', [{ offset: 0, length: 1 }]);
  assert.ok(typeof held === 'number');
  relay.release(held, 'complete');
  const text = await metricsOf(t, relay).text();
  assert.match(text, /pagerelay_hold_seconds_bucket\{le="300"\} 1\n/);
  assert.match(text, /pagerelay_hold_seconds_bucket\{le="\+Inf"\} 1\n/);
  assert.match(text, /pagerelay_hold_seconds_count 1\n/);
  await relay.close();
});

test('the counters are read once for all metrics', async (t) => {
  const relay = new PortableRelay('a test');
  const read = t.mock.method(relay, 'counters');
  await metricsOf(t, relay).text();
  assert.equal(read.mock.callCount(), 1);
});

test('methods that clients invent share one label', async (t) => {
  const metrics = metricsOf(t, new PortableRelay('a test'));
  for (let each = 0; each < 100; each++) metrics.countRequest(`X${each}`, 400, undefined);
  const text = await metrics.text();
  assert.match(text, /pagerelay_http_requests_total\{method="other",status="400",engine="none"\} 100\n/);
  assert.equal(text.match(/pagerelay_http_requests_total\{method="other"/g)?.length, 1);
});

test('answers of lanes are counted with those of Node', async (t) => {
  const relay = new PortableRelay('a test');
  const none = relay.counters().wholeByEngine;
  const byEngine = { wholeByEngine: { ...none, splice: 3 }, rangedByEngine: { ...none, sendfile: 30, copy: 10 } };
  const answers = { whole: 3, ranged: 40, head: 7, notModified: 5, headNotModified: 1 };
  const passedOn = { fed: { unpublished: 2, request: 5 }, handedOver: { grammar: 4 } };
  const counters = { ...relay.counters(), answers, ...byEngine, ...passedOn };
  const metrics = metricsOf(t, Object.create(relay, { counters: { value: () => counters } }));
  metrics.countRequest('GET', 206, 'sendfile');
  metrics.countRequest('GET', 404, undefined);
  for (let again = 0; again < 2; again++) {
    const lines = (await metrics.text()).split('\n');
    for (const line of [
      'pagerelay_http_requests_total{method="GET",status="200",engine="splice"} 3',
      'pagerelay_http_requests_total{method="GET",status="206",engine="sendfile"} 31',
      'pagerelay_http_requests_total{method="GET",status="206",engine="copy"} 10',
      'pagerelay_http_requests_total{method="GET",status="404",engine="none"} 1',
      'pagerelay_http_requests_total{method="HEAD",status="200",engine="none"} 7',
      'pagerelay_http_requests_total{method="GET",status="304",engine="none"} 5',
      'pagerelay_http_requests_total{method="HEAD",status="304",engine="none"} 1',
      'pagerelay_express_requests_total 56',
      'pagerelay_fed_requests_total{reason="unpublished"} 2',
      'pagerelay_fed_requests_total{reason="request"} 5',
      'pagerelay_handed_over_connections_total{reason="grammar"} 4',
    ]) {
      assert.ok(lines.includes(line), line);
    }
  }
});

test('scrapes that wait at the same time share one exposition, which has what happened before each of them', async (t) => {
  const relay = new PortableRelay('a test');
  const read = t.mock.method(relay, 'counters');
  const metrics = metricsOf(t, relay);
  const scrapes = Array.from({ length: 20 }, (_, before) => {
    metrics.countRequest('GET', 404, undefined);
    return metrics.exposition(undefined).then(({ body }) => ({ before: before + 1, told: notFoundIn(body) }));
  });
  for (const { before, told } of await Promise.all(scrapes)) assert.ok(told >= before, `${told} of ${before}`);
  assert.equal(read.mock.callCount(), 1);
});

test('a scrape that arrives while an exposition is made gets the next one', async (t) => {
  let later: Promise<Exposition> | undefined;
  const observed: Observed = {
    ...nothing,
    engines: () => {
      // What the first exposition says of requests is fixed by now.
      if (!later) metrics.countRequest('GET', 404, undefined);
      later ??= metrics.exposition(undefined);
      return [];
    },
  };
  const metrics = metricsOf(t, new PortableRelay('a test'), observed);
  assert.equal(notFoundIn((await metrics.exposition(undefined)).body), 0);
  assert.ok(later);
  assert.equal(notFoundIn((await later).body), 1);
});

test('a scraper gets the format that it asks for, beside one that asks for the other', async (t) => {
  const metrics = metricsOf(t, new PortableRelay('a test'));
  const [plain, open] = await Promise.all([
    metrics.exposition('text/plain'),
    metrics.exposition('application/openmetrics-text'),
  ]);
  assert.match(plain.contentType, /^text\/plain/);
  assert.doesNotMatch(plain.body.toString(), /# EOF/);
  assert.match(open.contentType, /^application\/openmetrics-text/);
  assert.match(open.body.toString(), /# EOF\n$/);
});

function notFoundIn(body: Buffer): number {
  const line = /pagerelay_http_requests_total\{method="GET",status="404",engine="none"\} (\d+)/;
  return Number(line.exec(body.toString())?.[1]);
}

function metricsOf(t: TestContext, relay: PortableRelay, observed: Observed = nothing): Metrics {
  const metrics = new Metrics(relay, observed);
  t.after(() => metrics.close());
  return metrics;
}
