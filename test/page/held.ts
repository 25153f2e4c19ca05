/** What the page shows of what is held. @module */
import type { Page } from 'playwright-core';
import { until } from '../support/poll.ts';

/** Bytes of the region `demo`. */
export const regionSize = 64 << 20;

/** What the page says of the region `demo`, in words. */
export const mapOf = (page: Page) => page.getByRole('img', { name: /^Map of demo/ }).getAttribute('aria-label');

/** How many pixels of the region's map are not those of a page that nobody holds. */
export function litPixels(page: Page): Promise<number> {
  return page.locator('[data-region=demo] canvas').evaluate((element) => {
    const canvas = element as unknown as { width: number; height: number; getContext(kind: '2d'): Context };
    type Context = { getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray } };
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let lit = 0;
    // Light scheme: free pages are nearly white, what is held is not red enough for that.
    for (let at = 0; at < data.length; at += 4) if ((data[at + 3] ?? 0) > 250 && (data[at] ?? 0) < 200) lit++;
    return lit;
  });
}

/** Waits until what is read matches. */
export async function eventually(read: () => Promise<unknown>, pattern: RegExp, what: string): Promise<void> {
  let seen: unknown;
  const holds = async () => {
    seen = await read();
    return pattern.test(String(seen));
  };
  await until(holds, what, () => seen);
}

/** The row of the slowest holds that a region has, as text; undefined where it has none. */
export async function holdOf(page: Page, region: string): Promise<string | undefined> {
  const rows = page.getByRole('table', { name: /oldest first/ }).getByRole('row', { name: new RegExp(region) });
  // Read at once: a row that was counted can be gone before it is read, and would be waited for.
  return (await rows.allTextContents())[0];
}
