// Checks that src/relay/counters.ts is what the tables of core/base/counters.h make of it (with --write: writes it).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { inspect } from 'node:util';

const root = join(import.meta.dirname, '..');
const target = join(root, 'src', 'relay', 'counters.ts');
const header = readFileSync(join(root, 'native-shim', 'core', 'base', 'counters.h'), 'utf8').replaceAll(/ *\\$/gm, '');

/** The rows of a table: the word that each begins with, and its arguments; strings without their quotes. */
function rowsOf(table) {
  const [, body = ''] = new RegExp(`#define ${table}\\(.*\\n([\\s\\S]*?)\\n(?:\\n|/\\*)`).exec(header) ?? [];
  return [...body.matchAll(/^ {4}([A-Z]+)\(((?:"[^"]*"|[^")])*)\)/gm)].map(([, shape, text]) => ({
    shape,
    given: [...text.matchAll(/"([^"]*)"|([^\s,"]+)/g)].map(([, quoted, bare]) => quoted ?? bare),
  }));
}

const distinctions = rowsOf('PR_DISTINCTIONS').map(({ given: [name, , label, ...values] }) => ({
  name,
  label,
  values,
}));

const counters = rowsOf('PR_COUNTERS').map(({ shape, given }) => {
  const [name, metric, help] = given.slice(-3);
  const by = shape === 'BY' ? given.slice(0, 1) : shape === 'TWO' ? given.slice(0, 2) : [];
  return { name, by, times: shape === 'TIMES', metric, help };
});

const literal = (value) => inspect(value, { breakLength: Number.POSITIVE_INFINITY });

const typeOf = ({ by, times }) =>
  by.reduceRight((value, distinction) => `By<'${distinction}', ${value}>`, times ? 'Durations' : 'number');

const text = `/** What is counted of a relay. Written from native-shim/core/base/counters.h by \`npm run counters\`. @module */
import type { Durations } from './durations.ts';

/** What counters are told apart by, with the label of their metrics. */
// biome-ignore format: one a line
export const distinctions = {
${distinctions.map(({ name, ...one }) => `  ${name}: ${literal(one)},`).join('\n')}
} as const;

export type Distinction = keyof typeof distinctions;

type By<Name extends Distinction, Value> = Readonly<Record<(typeof distinctions)[Name]['values'][number], Value>>;

/** The counters, as the shim tells them. */
export type Counted = {
${counters.map((counter) => `  /** ${counter.help} */\n  readonly ${counter.name}: ${typeOf(counter)};`).join('\n')}
};

/** How one is told. */
export type CounterRow = {
  readonly name: keyof Counted;
  readonly by: readonly Distinction[];
  readonly times: boolean;
  /** Empty where it is told in another way. */
  readonly metric: string;
  readonly help: string;
};

// biome-ignore format: one a line
export const counterRows: readonly CounterRow[] = [
${counters.map((counter) => `  ${literal(counter)},`).join('\n')}
];
`;

if (process.argv.includes('--write')) {
  writeFileSync(target, text);
} else if (readFileSync(target, 'utf8') !== text) {
  console.error('src/relay/counters.ts is not what native-shim/core/base/counters.h makes of it: npm run counters');
  process.exitCode = 1;
}
