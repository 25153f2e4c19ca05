/**
 * Takes pictures of the page with something to see on it: `node test/page/screenshots.ts [FOLDER]`. The first, `page.png`,
 * is the one of the README (docs/page.png).
 *
 * @module
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BrowserContextOptions, Page } from 'playwright-core';
import type { Scope } from '../support/scope.ts';
import { launch, openPage } from './chromium.ts';
import { lease, read, stall, startScene } from './scene.ts';

const mebibyte = 1 << 20;
const watchedMilliseconds = 45_000;

const pictures: Readonly<Record<string, BrowserContextOptions>> = {
  page: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
  'phone-dark': { colorScheme: 'dark', viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
};

/** All but what stands below the slowest holds, so that it is no taller than a README bears. */
async function upperPart(page: Page): Promise<void> {
  const below = await page.locator('.uneven, footer').all();
  for (const part of below) await part.evaluate((element) => element.setAttribute('hidden', ''));
  await page.setViewportSize({ width: 1280, height: 600 });
}

const folder = process.argv[2] ?? '/tmp/pagerelay-page';
mkdirSync(folder, { recursive: true });
const cleanUps: (() => unknown)[] = [];
const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
const done = new AbortController();
try {
  const scene = await startScene(scope);
  const [encoder, decoder] = ['models/encoder.safetensors', 'models/decoder.safetensors'];
  await stall(scope, scene, encoder, ['20000000-61000000']);
  await stall(scope, scene, decoder, ['0-9000000', '30000000-30200000']);
  await lease(scene, 'tables/2026-11.parquet', 4 * mebibyte, 7 * mebibyte - 1, 'compaction');
  await lease(scene, 'images/base.qcow2', 15 * mebibyte, 16 * mebibyte - 1, 'snapshot');
  const readers = [
    read(scope, scene, encoder, 96 * mebibyte, 0.2, done.signal),
    read(scope, scene, 'tables/2026-11.parquet', 3 * mebibyte, 30, done.signal),
    read(scope, scene, decoder, 40 * mebibyte, 12, done.signal),
  ];
  const browser = await launch(scope);
  const opened = await Promise.all(
    Object.entries(pictures).map(async ([name, options]) => ({
      name,
      ...(await openPage(scope, browser, scene.origin, options)),
    })),
  );
  await delay(Number(process.env.WATCHED ?? watchedMilliseconds));
  for (const { name, page, wrong } of opened) {
    const path = join(folder, `${name}.png`);
    if (name === 'page') await upperPart(page);
    await page.screenshot({ path, fullPage: true });
    if (wrong.length > 0) console.error(name, wrong);
  }
  done.abort();
  await Promise.all(readers);
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
}
console.log(folder);
