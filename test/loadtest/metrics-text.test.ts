import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BadMetrics, parseMetrics } from '../../loadtest/scrape/parse.ts';
import { heldBack, mismatches, type Seen, seenBy, zeroGauges } from '../../loadtest/scrape/reconcile.ts';
import { eventLoopDelay, type Snapshot } from '../../loadtest/scrape/scraper.ts';
import { startService } from '../support/service.ts';
import { clientResult } from './samples.ts';

describe('the text format', () => {
  test('is read with types, labels and escapes', () => {
    const metrics = parseMetrics(
      '# HELP a Some text.\n# TYPE a counter\na{b="x",c="y\\"\\\\\\n"} 1e3\na{b="z"} 2 1700000000000\n\n# a comment\nd +Inf\ne Nan\n',
    );
    assert.equal(metrics.types.get('a'), 'counter');
    assert.deepEqual(metrics.samples('a')[0]?.labels, { b: 'x', c: 'y"\\\n' });
    assert.deepEqual([metrics.sum('a'), metrics.sum('a', { b: 'z' }), metrics.sum('none')], [1002, 2, 0]);
    assert.equal(metrics.sum('d'), Number.POSITIVE_INFINITY);
    assert.ok(Number.isNaN(metrics.sum('e')));
    assert.deepEqual(
      [...metrics.counters()].map(({ value }) => value),
      [1000, 2],
    );
  });

  for (const [what, text] of [
    ['a last line without an end', 'a 1'],
    ['no value', 'a\n'],
    ['a value that is no number', 'a 1x\n'],
    ['a hexadecimal value', 'a 0x1\n'],
    ['a broken name', '1a 1\n'],
    ['labels without quotes', 'a{b=1} 1\n'],
    ['labels without an end', 'a{b="1" 1\n'],
    ['labels without a comma', 'a{b="1"c="2"} 1\n'],
    ['a label twice', 'a{b="1",b="2"} 1\n'],
    ['a sample twice', 'a{b="1",c="2"} 1\na{c="2",b="1"} 2\n'],
    ['a type twice', '# TYPE a counter\n# TYPE a gauge\n'],
    ['an unknown type', '# TYPE a number\n'],
    ['a page of HTML', '<!doctype html>\n'],
  ] as const) {
    test(`with ${what} is refused`, () => assert.throws(() => parseMetrics(text), BadMetrics));
  }

  test('is what the service writes, with everything that is looked for', async (scope) => {
    const { origin } = await startService(scope);
    const metrics = parseMetrics(await (await fetch(`${origin}/metrics`)).text());
    const needed = ['pagerelay_http_requests_total', 'pagerelay_sent_bytes_total', 'pagerelay_transmissions_total'];
    for (const name of [...needed, ...zeroGauges]) assert.ok(metrics.types.has(name), name);
    assert.ok(metrics.has('pagerelay_hold_seconds_count') && metrics.has('process_cpu_seconds_total'));
  });
});

test('the delay of the event loop is that of the looks between two scrapes', () => {
  const name = 'pagerelay_event_loop_delay_seconds';
  const text = (small: number, all: number, sum: number) =>
    parseMetrics(
      `${name}_bucket{le="0.005"} ${small}\n${name}_bucket{le="0.25"} ${all}\n${name}_bucket{le="+Inf"} ${all}\n` +
        `${name}_sum ${sum}\n${name}_count ${all}\n`,
    );
  assert.equal(eventLoopDelay(text(10, 11, 1), text(14, 15, 1.008))?.p99, 5);
  assert.equal(eventLoopDelay(text(10, 11, 1), text(10, 12, 1.2))?.p99, 250);
  assert.equal(eventLoopDelay(text(10, 11, 1), text(10, 11, 1)), undefined);
  assert.equal(eventLoopDelay(undefined, parseMetrics('a 1\n')), undefined);
});

describe('what a service counts', () => {
  type Counts = { bytes?: number; whole?: number; aborted?: number; answers?: number; gets?: number; holds?: number };

  function snapshot({ bytes = 0, whole = 0, aborted = 0, answers = 0, gets = 0, holds = 0 }: Counts): Snapshot {
    const text = `# TYPE pagerelay_http_requests_total counter
pagerelay_http_requests_total{method="GET",status="206"} ${answers}
pagerelay_http_requests_total{method="GET",status="200"} ${gets}
# TYPE pagerelay_sent_bytes_total counter
pagerelay_sent_bytes_total{engine="sendfile"} ${bytes}
# TYPE pagerelay_transmissions_total counter
pagerelay_transmissions_total{engine="sendfile",outcome="complete"} ${whole}
pagerelay_transmissions_total{engine="sendfile",outcome="aborted"} ${aborted}
# TYPE pagerelay_hold_seconds histogram
pagerelay_hold_seconds_count ${holds}
# TYPE pagerelay_references gauge
pagerelay_references 0
`;
    return { metrics: parseMetrics(text), gets, point: undefined as never };
  }

  const before = snapshot({ bytes: 5, whole: 1, answers: 1, gets: 3, holds: 1 });
  const seen: Seen = {
    bodies: 10,
    bytes: 1000,
    statuses: { GET: { 206: 12 }, HEAD: {}, PUT: {} },
    aborted: { requests: 2, bytes: 50, askedBytes: 200 },
  };
  const right = { bytes: 1005 + 100, whole: 12, aborted: 1, answers: 13, gets: 7, holds: 13 };

  test('adds up', () => assert.deepEqual(mismatches(before, snapshot(right), seen), []));

  const wrong: [string, Partial<Counts>, RegExp][] = [
    ['too few bytes', { bytes: 1005 + 49 }, /sent_bytes_total counted 1049, the clients saw 1050 to 1200 .*1 too few/],
    ['too many bytes', { bytes: 1005 + 201 }, /1 too many/],
    ['a body too few', { whole: 11 }, /transmissions_total counted/],
    ['a body that was whole and is counted as broken off', { whole: 9, aborted: 4 }, /outcome="complete"/],
    ['an answer too many', { answers: 14 }, /status="206"} counted 13, the clients saw 12/],
    ['a hold that has not ended', { holds: 12 }, /hold_seconds_count/],
    ['a counter that went down', { bytes: 4 }, /went from 5 to 4/],
  ];
  for (const [what, change, says] of wrong) {
    test(`does not with ${what}`, () => {
      const found = mismatches(before, snapshot({ ...right, ...change }), seen);
      assert.ok(
        found.some(({ detail }) => says.test(detail)),
        JSON.stringify(found),
      );
      assert.ok(found.every(({ kind }) => kind === 'metrics-mismatch'));
    });
  }

  test('is told by method: an answer to HEAD and one that is not modified have no body', () => {
    const head = clientResult(3, { method: 'HEAD', bytes: 0, statuses: { 200: 3 } });
    const got = clientResult(7, { bytes: 70, statuses: { 206: 5, 304: 2 } });
    const { bodies, statuses } = seenBy([head, got], { 204: 1 });
    assert.deepEqual([bodies, statuses], [5, { GET: { 206: 5, 304: 2 }, HEAD: { 200: 3 }, PUT: { 204: 1 } }]);
  });

  test('is refused where the counters are missing', () => {
    const empty = { ...before, metrics: parseMetrics('a 1\n') };
    assert.match(mismatches(empty, empty, seen)[0]?.detail ?? '', /lacks pagerelay_http_requests_total/);
  });

  test('every gauge that must be zero is looked at', () => {
    const text = zeroGauges.map((name) => `${name} 1\n`).join('');
    const held = heldBack({ ...before, metrics: parseMetrics(text) });
    assert.equal(held.length, zeroGauges.length);
    assert.match(held[0]?.detail ?? '', /pagerelay_references is 1, not 0/);
  });
});
