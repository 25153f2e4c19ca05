/** One stalled download, in all places where an operator looks, and gone from all of them when it is over. @module */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launch, openPage, skipWithoutChromium } from '../page/chromium.ts';
import { eventually, holdOf, litPixels, mapOf, regionSize } from '../page/held.ts';
import { inTurn } from '../support/amount.ts';
import { areThere } from '../support/client-tools.ts';
import { referencesOf } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { impatientRules, type Prometheus, prometheus, startPrometheus } from '../support/prometheus.ts';
import { RawClient } from '../support/raw.ts';
import { type Running, startService } from '../support/service.ts';
import { suiteScope } from '../support/suite-scope.ts';

const skip = skipWithoutChromium();
const scope = suiteScope();
let browser: Browser;

before(async () => {
  if (!skip) browser = await launch(scope);
});

/** What is told by /references, the gauge, the page (its map in words and in pixels, its table) and the alerts. */
async function look(running: Running, watcher: Prometheus, page: Page) {
  const [references, gauge, map, lit, row, firing] = await Promise.all([
    referencesOf(running),
    watcher.value('pagerelay_references'),
    mapOf(page),
    litPixels(page),
    holdOf(page, 'demo'),
    watcher.firing(),
  ]);
  return { peers: references.map(({ peer }) => peer), gauge, map, lit, row, firing };
}

const ends = {
  'its client has read it': async (client: RawClient) => void (await client.hash(regionSize)),
  'its client has vanished': async (client: RawClient) => client.reset(),
};

for (const [how, end] of inTurn(Object.entries(ends), 0)) {
  test(`a stalled download is seen in /references, the gauge, the page and an alert, until ${how}`, {
    skip,
  }, async (t) => {
    if (!areThere(t, [prometheus])) return;
    const running = await startService(t, { maxHold: 300 });
    const watcher = await startPrometheus(t, `127.0.0.1:${running.port}`, impatientRules());
    const { page, wrong } = await openPage(t, browser, running.origin);
    await eventually(() => mapOf(page), /nothing held/, 'the region is there');
    const client = await RawClient.connect(t, running.port);
    client.get('/regions/demo');
    assert.equal((await client.head()).status, 200);

    const peer = `127.0.0.1:${client.localPort}`;
    let seen: Awaited<ReturnType<typeof look>> | undefined;
    const isEverywhere = async () => {
      seen = await look(running, watcher, page);
      const { peers, gauge, map, lit, row, firing } = seen;
      const isOnPage = /unsent/.test(map ?? '') && lit > 1000 && row?.includes(peer);
      return peers.join() === peer && gauge === 1 && isOnPage === true && firing.join() === 'PagerelayStuckHolds';
    };
    await until(isEverywhere, 'all four tell of it', () => seen);
    await end(client);
    const isNowhere = async () => {
      seen = await look(running, watcher, page);
      const { peers, gauge, map, lit, row, firing } = seen;
      const isClear = /nothing held/.test(map ?? '') && lit === 0 && row === undefined;
      return peers.length === 0 && gauge === 0 && isClear && firing.length === 0;
    };
    await until(isNowhere, 'none of the four does', () => seen);
    assert.deepEqual(wrong, []);
    await page.close();
  });
}
