/**
 * The report of a short run, opened in Chromium as a reader would: every chart has data, nothing is loaded from
 * elsewhere, and it fits a phone, a dark screen and paper.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { runLoadtest } from './run-loadtest.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = existsSync(executablePath) ? false : `there is no ${executablePath} (Debian: chromium)`;
if (skip) console.warn(`*** the report is NOT opened in a browser: ${skip}`);

const charts = [
  ...['throughput-random-4k', 'throughput-sequential-1m', 'throughput-alone'],
  ...['cpu-random-4k', 'cpu-sequential-1m', 'cpu-alone'],
  ...['latency-random-4k', 'latency-sequential-1m', 'latency-alone'],
  ...['references', 'held', 'engines', 'processor', 'event-loop', 'memory'],
];

async function open(scope: TestContext, browser: Browser, report: string, more: object = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...more });
  scope.after(() => context.close());
  const page = await context.newPage();
  const asked: string[] = [];
  const wrong: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => void (message.type() === 'error' && wrong.push(message.text())));
  page.on('pageerror', (error) => wrong.push(error.message));
  const url = pathToFileURL(report).href;
  await page.goto(url);
  assert.deepEqual(asked, [url]);
  assert.deepEqual(wrong, []);
  return page;
}

// Of what is drawn from figures: the marks of Observable Plot carry their kind as a label.
const marks = ['bar', 'dot', 'line', 'area'].map((kind) => `.chart svg g[aria-label="${kind}"] > *`).join();

/** How many marks each chart has that can be seen, and how many different sizes or places they have. */
function drawn(page: Page): Promise<Record<string, { seen: number; shapes: number }>> {
  // As text: these are the page's types, not Node's.
  return page.evaluate(`Object.fromEntries([...document.querySelectorAll('figure[data-chart]')].map((figure) => {
    const boxes = [...figure.querySelectorAll(${JSON.stringify(marks)})].map((mark) => mark.getBoundingClientRect());
    const seen = boxes.filter(({ width, height }) => width + height > 0);
    const shapes = new Set(seen.map(({ x, y, width, height }) => [x, y, width, height].join()));
    return [figure.dataset.chart, { seen: seen.length, shapes: shapes.size }];
  }))`);
}

const overflow = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
const background = (page: Page) => page.evaluate('getComputedStyle(document.body).backgroundColor');

test('every chart of a report has data, on a screen, a phone and paper', { skip }, async (scope) => {
  const what = ['--scenarios', 'random-4k,sequential-1m,slow-2m,resume-4m', '--servers', 'copy'];
  const { code, folder = '', printed } = await runLoadtest(scope, ...what, '--seconds', '0.6', '--rounds', '1');
  assert.equal(code, 0, printed);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  scope.after(() => browser.close());
  const report = join(folder, 'report.html');

  const page = await open(scope, browser, report, { colorScheme: 'light' });
  const found = await drawn(page);
  assert.deepEqual(Object.keys(found).sort(), [...charts].sort());
  for (const [chart, { seen, shapes }] of Object.entries(found)) {
    assert.ok(seen >= 1 && shapes >= 1, `${chart} has ${seen} marks`);
  }
  assert.ok((found['throughput-random-4k']?.shapes ?? 0) >= 2, 'a bar for each server');
  assert.ok((found['latency-random-4k']?.shapes ?? 0) >= 8, 'percentiles of each server');
  assert.equal(await overflow(page), 0);
  assert.equal(await background(page), 'rgb(255, 255, 255)');
  assert.match(await page.innerText('.verdict'), /^Passed/);

  const phone = await open(scope, browser, report, { viewport: { width: 360, height: 740 }, isMobile: true });
  assert.equal(await overflow(phone), 0);
  assert.ok(Object.values(await drawn(phone)).every(({ seen }) => seen > 0));

  const dark = await open(scope, browser, report, { colorScheme: 'dark' });
  assert.notEqual(await background(dark), 'rgb(255, 255, 255)');
  await dark.emulateMedia({ media: 'print', colorScheme: 'dark' });
  assert.equal(await background(dark), 'rgb(255, 255, 255)');
  assert.ok((await dark.pdf({ format: 'A4' })).length > 20_000);
});
