/** What a run says while it goes on. @module */
import type { Sample } from '../run/rounds.ts';
import { quantile } from './statistics.ts';
import { writeNumber, writeSize } from './units.ts';

/** Does something, and tells how long that took. */
export async function timed<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const began = performance.now();
  const result = await work();
  console.error(`--- ${what}: ${writeNumber((performance.now() - began) / 1000)} s`);
  return result;
}

/** Tells of one sample. `where` comes before it. */
export function tell(sample: Sample, where = ''): void {
  const { peer, size, round, load, cpuSeconds } = sample;
  const rate = writeNumber(load.requests / load.seconds);
  const cpu = writeNumber((cpuSeconds / load.requests) * 1e6);
  const wrong = load.errors > 0 ? `  *** ${load.errors} WRONG: ${load.firstError}` : '';
  const what = `${where}${writeSize(size)}, round ${round}: ${peer}`;
  console.error(`${what}: ${rate} requests/s, ${cpu} µs of CPU each${wrong}${tellWrites(sample)}`);
}

function tellWrites({ writes }: Sample): string {
  if (!writes) return '';
  const { written, seconds, busy, errors, firstError, milliseconds } = writes;
  const wrong = errors > 0 ? `  *** ${errors} FAILED: ${firstError}` : '';
  const times = `p50 ${writeNumber(quantile(milliseconds, 0.5))} ms, p99 ${writeNumber(quantile(milliseconds, 0.99))} ms`;
  return `; ${writeNumber(written / seconds)} writes/s, ${times}, ${busy} times 409${wrong}`;
}
