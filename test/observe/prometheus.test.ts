/** A real Prometheus scrapes a service under load. @module */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { areThere } from '../support/client-tools.ts';
import { until } from '../support/poll.ts';
import { type Prometheus, prometheus, promtool, startPrometheus } from '../support/prometheus.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const size = 1 << 20;
const clients = 4;
const loadMilliseconds = 4000;

/** What clients have got. */
type Got = { ranged: number; whole: number; missing: number; bytes: number };

test('what Prometheus has scraped under load agrees with what clients have got', async (t) => {
  if (!areThere(t, [prometheus])) return;
  const running = await serve(t);
  const watcher = await startPrometheus(t, `127.0.0.1:${running.port}`);
  const got: Got = { ranged: 0, whole: 0, missing: 0, bytes: 0 };
  const deadline = performance.now() + loadMilliseconds;
  await Promise.all(Array.from({ length: clients }, (_, at) => load(t, running, at, deadline, got)));
  await untilScraped(watcher, got);
  const bodies = got.ranged + got.whole;
  const agrees: Readonly<Record<string, number>> = {
    'sum(pagerelay_http_requests_total{status="206"})': got.ranged,
    'sum(pagerelay_http_requests_total{status="404"})': got.missing,
    'sum(pagerelay_transmissions_total{outcome="complete"})': bodies,
    'sum(pagerelay_transmissions_total)': bodies,
    'sum(pagerelay_sent_bytes_total{engine=~"sendfile|splice"})': got.bytes,
    'sum(pagerelay_copy_free_bytes_total) + sum(pagerelay_copied_bytes_total)': got.bytes,
    'sum(pagerelay_numa_bytes_total)': got.bytes,
    pagerelay_hold_accepted_seconds_count: bodies,
    'pagerelay_hold_accepted_seconds_bucket{le="+Inf"}': bodies,
    'pagerelay_inline_sends_total + pagerelay_lane_sends_total + pagerelay_express_requests_total': bodies,
    [`clamp_max(pagerelay_connections, ${clients})`]: clients, // and Prometheus
    [`clamp_max(sum(pagerelay_lane_connections), ${clients})`]: clients,
    'count(pagerelay_region_info{region="region.bin", copy_free="yes"})': 1,
    'count(pagerelay_build_info{relay="shim"})': 1,
  };
  let differ: Record<string, number | undefined> = {};
  // Together: of the last request, not all is counted at one moment.
  const allAgree = async () => {
    const told = await Promise.all(
      Object.keys(agrees).map(async (promql) => [promql, await watcher.value(promql)] as const),
    );
    differ = Object.fromEntries(told.filter(([promql, value]) => value !== agrees[promql]));
    return Object.keys(differ).length === 0;
  };
  await until(allAgree, 'all counts agree', () => differ);
  await holdsEnd(watcher, bodies);
  const rates = ['sum(rate(pagerelay_sent_bytes_total[30s]))', 'sum(rate(pagerelay_lane_cpu_seconds_total[30s]))'];
  for (const rate of rates) assert.ok(((await watcher.value(rate)) ?? 0) > 0, rate);
  assert.equal(await watcher.unit('pagerelay_hold_seconds'), 'seconds', 'it was told in OpenMetrics');
});

for (const [what, options] of Object.entries({
  readable: {},
  writable: { writable: true },
  demo: { dir: undefined },
})) {
  test(`promtool finds nothing wrong with the metrics of a ${what} service`, async (t) => {
    if (!areThere(t, [promtool])) return;
    const { service } = await serve(t, options);
    await service.app.inject({ url: '/regions/region.bin', headers: { range: 'bytes=0-9' } });
    const { body } = await service.app.inject({ url: '/metrics' });
    const checked = spawnSync(promtool.path ?? '', ['check', 'metrics'], { input: body, encoding: 'utf8' });
    assert.deepEqual([checked.status, checked.stdout, checked.stderr], [0, '', '']);
  });
}

async function serve(t: TestContext, options = {}): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'region.bin', size);
  return startService(t, { dir, ...options });
}

/** Ranges of all sizes, which lanes answer where they can, among them whole regions and names that nobody has. */
async function load(t: TestContext, { port }: Running, at: number, deadline: number, got: Got): Promise<void> {
  const client = await RawClient.connect(t, port);
  for (let turn = at; performance.now() < deadline; turn++) {
    const length = 1 << (turn % 20);
    const range = `${turn % 4096}-${Math.min(size, (turn % 4096) + length) - 1}`;
    if (turn % 100 === 7) client.get('/regions/none');
    else client.get('/regions/region.bin', turn % 100 === 8 ? undefined : range);
    const { status, body } = await client.response();
    if (status === 404) got.missing++;
    else {
      got[status === 206 ? 'ranged' : 'whole']++;
      got.bytes += body.length;
    }
  }
  t.after(() => client.destroy());
}

async function untilScraped(watcher: Prometheus, { bytes }: Got): Promise<void> {
  const scraped = () => watcher.value('sum(pagerelay_sent_bytes_total)');
  await until(async () => (await scraped()) === bytes, 'Prometheus has scraped the last byte');
}

/** Of what was read, lanes look at the last some time later. */
async function holdsEnd(watcher: Prometheus, bodies: number): Promise<void> {
  const ended = async () => (await watcher.value('pagerelay_hold_seconds_count')) === bodies;
  await until(ended, 'all holds have ended');
  assert.equal(await watcher.value('pagerelay_references + pagerelay_held_bytes'), 0);
}
