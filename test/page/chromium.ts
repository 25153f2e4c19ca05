/** Chromium without a head, the one that the system has. @module */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Scope } from '../support/scope.ts';

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where it is; undefined where it is not. */
export const chromiumPath = process.env.CHROMIUM_PATH ?? paths.find((path) => existsSync(path));

/** Why the tests that need it are left out; false where they are not. Says so, loudly; in CI that is a failure. */
export function skipWithoutChromium(): string | false {
  if (chromiumPath !== undefined) return false;
  const why = 'chromium is not installed (Debian: apt-get install --no-install-recommends chromium)';
  if (process.env.CI) throw new Error(why);
  console.warn(`*** SKIP: the page is NOT tested in a browser: ${why}`);
  return why;
}

/** Starts it; it ends with the scope. */
export async function launch(scope: Scope): Promise<Browser> {
  // Root has no sandbox; /dev/shm is what regions are tested on, and can be small in containers.
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run'];
  const browser = await chromium.launch({ ...(chromiumPath && { executablePath: chromiumPath }), args });
  scope.after(() => browser.close());
  return browser;
}

/** A page, and everything in it that should not have been: errors, and what the policy refused. */
export type Watched = { readonly page: Page; readonly wrong: readonly string[] };

/** Opens an address in a context of its own, which closes with the scope: what nobody looks at any more is still drawn. */
export async function openPage(
  scope: Scope,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  scope.after(() => context.close());
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    // That one is about the tests' own looking at pixels.
    if (/willReadFrequently/.test(message.text())) return;
    if (message.type() === 'error' || message.type() === 'warning') wrong.push(message.text());
  });
  await page.goto(url);
  return { page, wrong };
}
