/** What was found out, for people. @module */
import { describeRefusal } from '../relay/refused.ts';
import type { BackingChoice, Proof, Result } from './result.ts';

const heads = [
  ...['backing', 'engine', 'copy-free', 'kernel says', 'copied', 'CPU s/GB', 'GB/s', 'sends/MB'],
  'done when',
] as const;
const firstNumber = 4;
const lastNumber = 7;

/** The text that `pagerelay prove` prints, with a newline at its end. */
export function describeProof(proof: Proof): string {
  const { kernel, node, pagerelay, processor, date, configured } = proof;
  return [
    `pagerelay ${pagerelay} on ${kernel}, Node ${node}, ${processor}, ${date}; --engine ${configured}`,
    '',
    ...table(proof.results),
    '',
    '> marks what is used. Copy-free: pages that had been sent and acknowledged were overwritten, and the peer read the',
    'new bytes. Kernel says: its notice about MSG_ZEROCOPY, which it copies for every peer on its own machine; only a',
    'network card could show more. Copied: of what was sent over loopback, as the relay counts it. CPU: of the sending',
    'process alone; GB/s is what one reading thread takes. Sends: calls that gave bytes to a socket. GB = 10^9 bytes.',
    '',
    ...proof.backings.flatMap(describeOverwrites),
    ...proof.absent.map(({ backing, why }) => `Not here: ${backing} (${why})`),
    ...proof.refused.map((refusal) => `REFUSED: ${describeRefusal(refusal)}`),
    ...proof.claims.filter(({ met }) => !met).map(({ claim, because }) => `NOT MET: ${claim} (${because})`),
    proof.conclusion,
    '',
  ].join('\n');
}

function placeOf(backing: string, where: string): string {
  return where === backing ? backing : `${backing} ${where}`;
}

function describeOverwrites({ backing, where, overwrites }: BackingChoice): string[] {
  if (!overwrites) return [];
  const place = placeOf(backing, where);
  return [`Overwritten in place: ${place} by the means '${overwrites.means}' (${overwrites.because})`];
}

/** The results as lines of a table. */
export function table(results: readonly Result[]): string[] {
  const rows = [heads, ...results.map(cellsOf)];
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => pad(cell, column, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function pad(cell: string, column: number, width: number): string {
  const isNumber = column >= firstNumber && column <= lastNumber;
  return isNumber ? cell.padStart(width) : cell.padEnd(width);
}

function cellsOf(result: Result): string[] {
  const { backing, where, engine, used, measured, notice, done } = result;
  const place = placeOf(backing, where);
  const figures = measured && [
    share(measured.copiedBytes, measured.bytes),
    measured.cpuSecondsPerGB.toFixed(3),
    measured.gigabytesPerSecond.toFixed(2),
    measured.sendsPerMB.toFixed(1),
    done,
  ];
  return [
    place,
    `${used ? '>' : ' '} ${engine}`,
    verdictCell(result),
    notice ?? '',
    ...(figures ?? ['', '', '', '', result.refused === null ? 'a copy is sent instead' : 'it can not send']),
  ];
}

function verdictCell({ copyFree, refused }: Result): string {
  if (refused !== null) return refused;
  return copyFree === null ? 'not seen' : copyFree ? 'yes' : 'no';
}

function share(part: number, whole: number): string {
  return whole === 0 ? '' : `${Math.round((100 * part) / whole)} %`;
}
