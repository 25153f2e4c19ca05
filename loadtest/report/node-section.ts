/** The part of the report on what Node takes of a request. @module */
import { steps } from '../peers/steps.ts';
import type { Sample } from '../run/rounds.ts';
import { cpuMicrosecondsPerRequest, requestsPerSecond } from './comparison.ts';
import { median, type Spread, spreadOf } from './statistics.ts';
import { renderRows, writeSpread } from './table.ts';
import { writeNumber } from './units.ts';

/** What each step takes, and how much more than the one that it is compared with. */
export function renderNode(samples: readonly Sample[]): string {
  const rows = steps.map(({ peer, adds, over }) => {
    const own = roundsOf(samples, peer.name);
    const more = over && differences(own, roundsOf(samples, over.name));
    const figures = [cpuMicrosecondsPerRequest, requestsPerSecond].map((of) => writeNumber(median(own.map(of))));
    return [peer.name, adds, over?.name ?? '', ...figures, writeSpread(more)];
  });
  const head = ['server', 'does, or does more', 'than', 'CPU µs/request', 'requests/s', 'more CPU µs'];
  return `## What Node takes of a request

A connection's first request, and whatever a lane may not answer. Ranges of 4 KiB on kept-alive connections: each server does one thing more than the one that it is compared with, in the same rounds. The kernel's work, 5 to 6 µs, is in each.

${renderRows(head, rows, 3)}`;
}

function roundsOf(samples: readonly Sample[], peer: string): Sample[] {
  return samples.filter((sample) => sample.peer === peer).sort((a, b) => a.round - b.round);
}

function differences(own: readonly Sample[], others: readonly Sample[]): Spread {
  return spreadOf(
    own.flatMap((sample, at) => {
      const other = others[at];
      return other ? [cpuMicrosecondsPerRequest(sample) - cpuMicrosecondsPerRequest(other)] : [];
    }),
  );
}
