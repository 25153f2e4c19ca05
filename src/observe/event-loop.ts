/** How late the event loop is, and how busy. @module */
import { DurationCounts } from '../relay/durations.ts';
import { type Family, histogram, single } from './family.ts';

/**
 * Milliseconds between two looks; timers are late by up to 1 ms anyway. Node's own monitor (`monitorEventLoopDelay`)
 * takes 0.4 % of a core of an idle service and counts its interval as delay, and the library resets it at each scrape.
 * Four looks a second take a tenth of that (docs/metrics.md).
 */
const lookEvery = 250;

const bounds = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] as const;

/** Looks at how late a timer of its own comes. */
export class EventLoop {
  readonly #delays = new DurationCounts(bounds);
  #due = performance.now() + lookEvery;
  readonly #timer = setInterval(() => this.#look(), lookEvery).unref();

  families(): Family[] {
    const late = 'How late a timer came, looked at four times a second.';
    const atWork = 'Time that the event loop was at work; at one second a second it is saturated.';
    const seconds = performance.eventLoopUtilization().active / 1000;
    return [
      histogram('pagerelay_event_loop_delay_seconds', late, this.#delays.counted),
      single('pagerelay_event_loop_active_seconds_total', atWork, seconds),
    ];
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#delays.add(Math.max(0, now - this.#due) / 1000);
    this.#due = now + lookEvery;
  }
}
