/** What the guests' tests have found out besides that they pass, for people. @module */
import type { Proof } from '../../../src/prove/result.ts';
import { describeProof } from '../../../src/prove/table.ts';

/** One note of a guest's (test/pmem/guest/note.ts), and which guest it was. */
export type Finding = {
  readonly kernel: string;
  readonly cpus: number;
  readonly what: string;
  readonly [name: string]: unknown;
};

/** Markdown: docs/zero-copy.md has these tables. */
export function describeFindings(findings: readonly Finding[]): string {
  const of = (what: string) => findings.filter((finding) => finding.what === what);
  return [
    ...of('prove').map((found) => `${guestOf(found)}:\n\n\`\`\`\n${describeProof(found.proof as Proof)}\n\`\`\``),
    table(
      ['pagerelay', 'on', 'bytes of the file', 'of other files', 'regions made meanwhile'],
      of('pagerelay').map(ownRow),
    ),
    table(
      ['a shrink under a stalled reader', 'on', 'answered after', 'file cut, after it had read'],
      of('shrink').map(shrinkRow),
    ),
    table(['pages', 'node', 'share of each node'], uniqueRows(of('nodes of regions').flatMap(nodeRows))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function guestOf({ kernel, cpus }: Finding): string {
  return `Linux ${kernel}, ${cpus} CPU${cpus > 1 ? 's' : ''}`;
}

function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  if (rows.length === 0) return '';
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

type Own = { readonly place: string; readonly regionsMade: number; readonly bytes: { own: number; others: number } };

function ownRow(finding: Finding): unknown[] {
  const { place, regionsMade, bytes } = finding as unknown as Own;
  return [guestOf(finding), place, bytes.own, bytes.others, regionsMade];
}

type Shrink = { readonly place: string; readonly answeredMilliseconds: number; readonly cutMilliseconds: number };

function shrinkRow(finding: Finding): unknown[] {
  const { place, answeredMilliseconds, cutMilliseconds } = finding as unknown as Shrink;
  return [guestOf(finding), place, `${answeredMilliseconds} ms`, `${cutMilliseconds} ms`];
}

type Located = { readonly node: number | null; readonly nodes: Readonly<Record<string, number>> };

function nodeRows({ regions }: Finding): unknown[][] {
  const all = Object.entries(regions as Readonly<Record<string, Located>>);
  return all.map(([where, { node, nodes }]) => [where, node, JSON.stringify(nodes)]);
}

function uniqueRows(rows: readonly unknown[][]): unknown[][] {
  return [...new Map(rows.map((row) => [row.join(), row])).values()];
}
