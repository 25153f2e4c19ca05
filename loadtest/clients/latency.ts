/** Latencies in microseconds, in histograms (HdrHistogram) that add up over processes and rounds. @module */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** An empty one: values are kept to 0.1 %. */
export function newLatency(): Histogram {
  return build({ numberOfSignificantValueDigits: 3, autoResize: true, highestTrackableValue: 2 ** 27 });
}

/** Records one; fractions of a microsecond are rounded. */
export function recordLatency(latency: Histogram, microseconds: number, count = 1): void {
  latency.recordValueWithCount(Math.max(0, Math.round(microseconds)), count);
}

/** As text that other tools read, too (HdrHistogram V2, compressed, base64). */
export function encodeLatency(latency: Histogram): string {
  return encodeIntoCompressedBase64(latency);
}

/** Several of them together. */
export function addLatencies(texts: readonly string[]): Histogram {
  const all = newLatency();
  for (const text of texts) all.add(decodeFromCompressedBase64(text) as Histogram);
  return all;
}

/** What so many of a hundred do not exceed; NaN of none. */
export function percentile(latency: Histogram, of100: number): number {
  return latency.totalCount === 0 ? Number.NaN : latency.getValueAtPercentile(of100);
}
