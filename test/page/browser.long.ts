/** The page in Chromium: what is held is seen, and gone when it is done; for eyes, keyboards, screen readers, phones. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { createService } from '../../src/service.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder } from '../support/regions.ts';
import { type Running, serviceDefaults, startService } from '../support/service.ts';
import { suiteScope } from '../support/suite-scope.ts';
import { lastFirst } from '../support/writable.ts';
import { launch, openPage, skipWithoutChromium } from './chromium.ts';
import { eventually, litPixels, mapOf, regionSize } from './held.ts';
import { lease, stall, startScene } from './scene.ts';

const skip = skipWithoutChromium();
const scope = suiteScope();
const inChromium = { skip };
let browser: Browser;

before(async () => {
  if (!skip) browser = await launch(scope);
});

async function stalledDownload(running: Running, page: Page): Promise<RawClient> {
  await eventually(() => mapOf(page), /nothing held/, 'the region is there');
  const client = await RawClient.connect(scope, running.port);
  client.get('/regions/demo');
  return client;
}

async function assertSeen(running: Running, page: Page, client: RawClient): Promise<void> {
  await eventually(() => mapOf(page), /of 1024 unsent/, 'the map shows it');
  await until(async () => (await litPixels(page)) > 1000, 'its pages are lit');
  const row = page.getByRole('table', { name: /oldest first/ }).getByRole('row', { name: /demo/ });
  const peer = `127.0.0.1:${client.localPort}`;
  assert.match((await row.textContent()) ?? '', new RegExp(`^demo.*unsent.*${peer}, local$`));
  const { references } = (await (await fetch(`${running.origin}/references`)).json()) as {
    references: { peer: string }[];
  };
  assert.deepEqual(
    references.map((each) => each.peer),
    [peer],
  );
  assert.match(await (await fetch(`${running.origin}/metrics`)).text(), /^pagerelay_references 1$/m);
}

async function assertGone({ origin }: Running, page: Page): Promise<void> {
  await eventually(() => mapOf(page), /nothing held/, 'the map is clear');
  await eventually(() => litPixels(page), /^0$/, 'what was lit has faded');
  await page.getByText('Nothing is held: every byte that was sent is done.').waitFor();
  assert.deepEqual(await (await fetch(`${origin}/references`)).json(), { references: [] });
  assert.match(await (await fetch(`${origin}/metrics`)).text(), /^pagerelay_references 0$/m);
}

test(
  'a stalled download of 64 MiB is seen on the page, in /references and in the gauge, until it has been read',
  inChromium,
  async (t) => {
    const running = await startService(t, { maxHold: 300 });
    const { page, wrong } = await openPage(t, browser, running.origin);
    const client = await stalledDownload(running, page);
    await assertSeen(running, page, client);
    assert.equal((await client.head()).status, 200);
    await client.hash(regionSize);
    await assertGone(running, page);
    assert.deepEqual(wrong, []);
  },
);

test('one whose client has vanished is gone from all of them too', inChromium, async (t) => {
  const running = await startService(t, { maxHold: 300 });
  const { page, wrong } = await openPage(t, browser, running.origin);
  const client = await stalledDownload(running, page);
  await assertSeen(running, page, client);
  client.reset();
  await assertGone(running, page);
  assert.deepEqual(wrong, []);
});

test('pages that are done go out at once where nothing shall move', inChromium, async (t) => {
  const running = await startService(t, { maxHold: 300 });
  const { page } = await openPage(t, browser, running.origin, { reducedMotion: 'reduce' });
  const client = await stalledDownload(running, page);
  await assertSeen(running, page, client);
  client.reset();
  await eventually(() => mapOf(page), /nothing held/, 'the map is clear');
  // The map is drawn in the next frame.
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
  assert.equal(await litPixels(page), 0);
});

test('charts draw, leases and lanes are listed', inChromium, async (t) => {
  const scene = await startScene(t);
  await lease(scene, 'images/base.qcow2', 0, 4095, 'backup');
  const { page, wrong } = await openPage(t, browser, scene.origin);
  await page
    .getByRole('table', { name: /Leases/ })
    .getByRole('row', { name: /images\/base\.qcow2.*backup 127/ })
    .waitFor();
  await page
    .getByRole('table', { name: /threads/ })
    .getByRole('row', { name: /lane 0/ })
    .waitFor();
  assert.equal(await page.locator('.chart canvas').count(), 2);
  assert.deepEqual(wrong, []);
});

test(
  'a screen reader finds landmarks, headings and tables with captions, and is told politely',
  inChromium,
  async (t) => {
    const scene = await startScene(t);
    await stall(t, scene, 'models/encoder.safetensors', ['0-60000000']);
    const { page } = await openPage(t, browser, scene.origin);
    await page
      .getByRole('status')
      .filter({ hasText: /1 response in flight, [\d.]+ MiB held/ })
      .waitFor({ state: 'attached' });
    for (const landmark of ['banner', 'main', 'contentinfo', 'navigation'] as const) {
      assert.equal(await page.getByRole(landmark).count(), 1, landmark);
    }
    const sections = await page.getByRole('region').all();
    assert.ok(sections.length >= 7, `${sections.length} sections that have names`);
    const headings = await page.getByRole('heading', { level: 2 }).allTextContents();
    assert.deepEqual(headings, ['Now', 'Regions', 'Throughput by engine', 'Held', 'Slowest holds', 'Lanes', 'Leases']);
    assert.equal(await page.getByRole('heading', { level: 3, name: 'models/encoder.safetensors' }).count(), 1);
    for (const table of await page.getByRole('table').all()) {
      assert.notEqual(await table.locator('caption').textContent(), '');
      assert.ok((await table.getByRole('columnheader').count()) >= 3);
      assert.ok((await table.getByRole('rowheader').count()) >= 1);
    }
  },
);

test('a keyboard reaches everything, sees where it is, and can hold the page still', inChromium, async (t) => {
  const { origin } = await startService(t);
  const { page } = await openPage(t, browser, origin);
  await eventually(() => mapOf(page), /nothing held/, 'the region is there');
  const focused = () =>
    page.evaluate(() => (globalThis as never as Browsing).document.activeElement.textContent.trim());
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the regions');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Pause');
  const outline = await page
    .locator('#pause')
    .evaluate((element) => (globalThis as never as Browsing).getComputedStyle(element).outlineStyle);
  assert.equal(outline, 'solid');
  await page.keyboard.press('Space');
  await page.getByText('Paused').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Pause' }).getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('Enter');
  await page.getByText('Live', { exact: true }).waitFor();
  for (const link of ['Regions', 'References', 'Metrics', 'OpenAPI']) {
    await page.keyboard.press('Tab');
    assert.equal(await focused(), link);
  }
});

/** What is used of a browser's globals. */
type Browsing = {
  readonly document: {
    readonly activeElement: { readonly textContent: string };
    readonly body: object;
    readonly documentElement: { readonly scrollWidth: number; readonly clientWidth: number };
  };
  getComputedStyle(element: unknown): { readonly outlineStyle: string; readonly backgroundColor: string };
};

const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

test('on a phone nothing scrolls sideways', inChromium, async (t) => {
  const scene = await startScene(t);
  await stall(t, scene, 'models/encoder.safetensors', ['0-60000000']);
  await lease(scene, 'images/base.qcow2', 0, 4095, 'x'.repeat(100));
  const { page, wrong } = await openPage(t, browser, scene.origin, phone);
  await page.getByRole('rowheader', { name: 'models/encoder.safetensors' }).waitFor();
  const widths = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = (globalThis as never as Browsing).document.documentElement;
    return { scrollWidth, clientWidth };
  });
  assert.deepEqual(widths, { scrollWidth: 390, clientWidth: 390 });
  assert.deepEqual(await cutTexts(page), []);
  assert.deepEqual(wrong, []);
});

test('names and owners are there to the end where there are more columns, too', inChromium, async (t) => {
  const scene = await startScene(t);
  await stall(t, scene, 'models/encoder.safetensors', ['0-60000000']);
  await lease(scene, 'images/base.qcow2', 0, 4095, 'x'.repeat(100));
  const { page } = await openPage(t, browser, scene.origin);
  await page.getByRole('rowheader', { name: 'images/base.qcow2' }).waitFor();
  for (const width of [620, 760, 960, 961, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    assert.deepEqual(await cutTexts(page), [], `${width} px`);
  }
});

/** What tables have that is cut, or is only seen when they are scrolled. */
function cutTexts(page: Page): Promise<string[]> {
  return page.locator('.scroll, tbody th, tbody .wide').evaluateAll((elements) => {
    const all = elements as unknown as { scrollWidth: number; clientWidth: number; textContent: string }[];
    return all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent);
  });
}

test('names of any kind are shown as they are, and do nothing', inChromium, async (t) => {
  const own = lastFirst(t);
  const dir = makeFolder(own, 'tmpfs');
  const names = [
    '<img src=x onerror=document.title=1>',
    'two  spaces\nand a line end',
    '\u202eturned',
    'a "b" \\ &amp;',
  ];
  for (const name of names) writeFileSync(join(dir, name), name);
  const { origin } = await startService(own, { dir });
  const { page, wrong } = await openPage(t, browser, origin);
  const shown = () => page.locator('.region h3').allInnerTexts();
  await until(async () => (await shown()).length === names.length, 'all are shown');
  assert.deepEqual((await shown()).sort(), [...names].sort());
  assert.equal(await page.locator('.region img').count(), 0);
  assert.notEqual(await page.title(), '1');
  assert.deepEqual(wrong, []);
});

test('it is dark where the reader has it dark', inChromium, async (t) => {
  const { origin } = await startService(t);
  const grounds = { light: 'rgb(244, 245, 247)', dark: 'rgb(16, 20, 26)' };
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await openPage(t, browser, origin, { colorScheme });
    const ground = await page.evaluate(() => {
      const { document, getComputedStyle } = globalThis as never as Browsing;
      return getComputedStyle(document.body).backgroundColor;
    });
    assert.equal(ground, grounds[colorScheme]);
  }
});

test('where there is a read token it is asked for, and kept for the tab', inChromium, async (t) => {
  const readTokenFile = join(makeFolder(t, 'ext4'), 'tokens');
  writeFileSync(readTokenFile, 'open-sesame\n');
  const { origin } = await startService(t, { readTokenFile });
  const { page } = await openPage(t, browser, origin);
  await page.getByRole('textbox', { name: 'Token' }).fill('wrong');
  await page.getByRole('button', { name: 'Watch' }).click();
  await page.getByText('That token is not accepted.').waitFor();
  await page.getByRole('textbox', { name: 'Token' }).fill('open-sesame');
  await page.keyboard.press('Enter');
  await eventually(() => mapOf(page), /nothing held/, 'the region is there');
  assert.equal(await page.getByRole('textbox', { name: 'Token' }).isVisible(), false);
  const links = page.getByRole('navigation').getByRole('link');
  assert.deepEqual(await links.allTextContents(), ['OpenAPI'], 'the others could not carry the token');
  await page.reload();
  await eventually(() => mapOf(page), /nothing held/, 'the region is there without asking');
});

test('it comes back by itself when the service does', inChromium, async (t) => {
  const first = await startService(t);
  const { page } = await openPage(t, browser, first.origin);
  await page.getByText('Live', { exact: true }).waitFor();
  await first.close();
  await page.getByText('Not connected; trying again').waitFor();
  const second = createService(serviceDefaults);
  t.after(() => second.close());
  await second.app.listen({ host: '127.0.0.1', port: first.port });
  await page.getByText('Live', { exact: true }).waitFor();
});

test('a token that is given while the page is paused starts it again', inChromium, async (t) => {
  const readTokenFile = join(makeFolder(t, 'ext4'), 'tokens');
  writeFileSync(readTokenFile, 'open-sesame\n');
  const { origin } = await startService(t, { readTokenFile });
  const { page } = await openPage(t, browser, origin);
  const pause = page.getByRole('button', { name: 'Pause' });
  await page.getByRole('textbox', { name: 'Token' }).waitFor();
  await pause.click();
  await page.getByText('Paused').waitFor();
  assert.equal(await page.getByRole('link', { name: 'References' }).isVisible(), false, 'it is locked all the same');
  await page.getByRole('textbox', { name: 'Token' }).fill('open-sesame');
  await page.keyboard.press('Enter');
  await eventually(() => mapOf(page), /nothing held/, 'it is live');
  assert.equal(await pause.getAttribute('aria-pressed'), 'false');
  await page.getByText('Live', { exact: true }).waitFor();
});
