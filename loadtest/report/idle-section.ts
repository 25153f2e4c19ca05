/** The part of the report on connections that do nothing. @module */
import type { IdlePart, IdleSample } from '../parts/idle.ts';
import { spreadOf } from './statistics.ts';
import { renderRows, writeSpread } from './table.ts';
import { writeList, writeNumber } from './units.ts';

/** What they take, server by server. */
export function renderIdle({ connections, samples }: IdlePart): string {
  const rows = peersOf(samples).map(({ peer, own }) => {
    const native = own.flatMap(({ native }) => native ?? []);
    return [peer, writeSpread(kibibytes(own)), native.length > 0 ? writeSpread(spreadOf(native)) : 'none'];
  });
  return `## Idle connections

${writeNumber(connections)} kept-alive connections that have each had one range of 4 KiB answered and then nothing. What the server's process has more in memory (VmRSS) than before they came, both times after Node was made to collect its garbage, over their number; a server started anew in each round. What the kernel keeps for the sockets is not in it. Native is what pagerelay's shim says to have set aside (\`pagerelay_native_allocated_bytes\`), which VmRSS holds as well.

${renderRows(['server', 'KiB a connection', 'of that native, bytes'], rows, 1)}`;
}

/** What they take, in words. */
export function sentenceOnIdle({ connections, samples }: IdlePart): string {
  const each = peersOf(samples).map(({ peer, own }) => `${writeNumber(kibibytes(own).median)} KiB for ${peer}`);
  return `**An idle connection** of ${writeNumber(connections)} takes ${writeList(each)}.`;
}

function peersOf(samples: readonly IdleSample[]) {
  const peers = [...new Set(samples.map(({ peer }) => peer))];
  return peers.map((peer) => ({ peer, own: samples.filter((sample) => sample.peer === peer) }));
}

function kibibytes(samples: readonly IdleSample[]) {
  return spreadOf(samples.map(({ resident }) => resident / 1024));
}
