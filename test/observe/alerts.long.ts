/** The alert rules, judged by promtool, and the one of stuck holds in a real Prometheus. @module */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { areThere } from '../support/client-tools.ts';
import { referencesOf } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { impatientRules, type Prometheus, prometheus, promtool, startPrometheus } from '../support/prometheus.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const folder = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));
const size = 32 << 20;
const stuck = 'PagerelayStuckHolds';

for (const args of ['check rules rules.yml', 'check config prometheus.yml', 'test rules rules.test.yml']) {
  test(`promtool ${args}`, (t) => {
    if (!areThere(t, [promtool])) return;
    const options = { cwd: folder, encoding: 'utf8' } as const;
    const { status, stdout, stderr } = spawnSync(promtool.path ?? '', args.split(' '), options);
    assert.equal(status, 0, stdout + stderr);
  });
}

test('docs/metrics.md says what to do about each alert, and of no other', () => {
  const names = (path: string, pattern: RegExp) =>
    [...readFileSync(path, 'utf8').matchAll(pattern)].map(([, name]) => name);
  const documented = names(
    fileURLToPath(new URL('../../docs/metrics.md', import.meta.url)),
    /^\| `(Pagerelay\w+)` \|/gm,
  );
  assert.deepEqual(documented, names(`${folder}rules.yml`, /alert: (\w+)/g));
});

type Scene = { readonly running: Running; readonly watcher: Prometheus; readonly client: RawClient };

test('a stalled download fires an alert, until its client has read it', async (t) => {
  if (!areThere(t, [prometheus])) return;
  const scene = await stall(t);
  await scene.client.hash(size);
  await untilQuiet(scene);
});

test('a stalled download fires an alert, until its client has vanished', async (t) => {
  if (!areThere(t, [prometheus])) return;
  const scene = await stall(t);
  scene.client.destroy();
  await untilQuiet(scene);
});

/** A client has asked for 32 MiB and reads none of it; this is seen wherever it can be. */
async function stall(t: TestContext): Promise<Scene> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'region.bin', size);
  const running = await startService(t, { dir, maxHold: 300 });
  const watcher = await startPrometheus(t, `127.0.0.1:${running.port}`, impatientRules());
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/region.bin');
  assert.equal((await client.head()).status, 200);
  // Together: a scrape that is missed takes all values away for a moment.
  let last: unknown;
  const isSeen = async () => {
    const firing = await watcher.firing();
    const references = await watcher.value('pagerelay_references');
    const sending = await watcher.value('pagerelay_transmissions_in_flight{state="sending"}');
    const held = (await watcher.value('pagerelay_held_bytes')) ?? 0;
    const beyondPages = await watcher.value('pagerelay_held_pages * 4096 - pagerelay_held_bytes');
    last = { firing, references, sending, held, beyondPages };
    const counts = references === 1 && sending === 1 && beyondPages === 0;
    return firing.join() === stuck && counts && held > size / 2 && held <= size;
  };
  await until(isSeen, 'the alert fires, and the gauges tell why', () => last);
  const [reference] = await referencesOf(running);
  assert.equal(reference?.peer, `127.0.0.1:${client.localPort}`);
  return { running, watcher, client };
}

async function untilQuiet({ running, watcher }: Scene): Promise<void> {
  await until(async () => (await watcher.firing()).length === 0, 'the alert is over');
  const held = 'pagerelay_references + pagerelay_held_bytes + pagerelay_held_pages';
  await until(async () => (await watcher.value(held)) === 0, 'nothing is held');
  assert.deepEqual(await referencesOf(running), []);
}
