import type { ProveOptions } from '../prove/prove.ts';
import { type Flag, named, secondsAboveZero } from './flag-kinds.ts';
import { flags } from './flags.ts';
import { parseStrictly, UsageError } from './options.ts';

/** What a command line asks for. */
export type ProveCommand =
  | { readonly kind: 'prove'; readonly options: ProveOptions; readonly json: boolean }
  | { readonly kind: 'help' };

const measured = named('seconds', 'how long what each engine sends is measured', secondsAboveZero(0.4));

const rows = [
  ['--json', 'print JSON in place of a table'],
  ['--path PATH', 'also try a folder (on fsdax, hugetlbfs, any disk) or a devdax device that nobody uses (repeatable)'],
  ['--engine ENGINE', 'how the service would be run (default auto; also PAGERELAY_ENGINE)'],
  [`--seconds ${measured.placeholder}`, `${measured.meaning} (default ${measured.shownDefault})`],
  ['--help', 'print this text'],
] as const;

/** Reads what `pagerelay prove` was asked for. @param argv the arguments after `prove` @throws UsageError */
export function parseProveOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ProveCommand {
  const { json = false, help = false, path: paths = [], engine, seconds } = parseStrictly(argv, options);
  if (help) return { kind: 'help' };
  if (paths.includes('')) throw new UsageError(`--path must be ${flags.dir.rule}, not ""`);
  const given = engine?.at(-1) ?? (env.PAGERELAY_ENGINE || undefined);
  const asked = {
    paths,
    engine: given === undefined ? ('auto' as const) : read(flags.engine, given),
    seconds: seconds === undefined ? measured.fallback : read(measured, seconds),
  };
  return { kind: 'prove', json, options: asked };
}

/** The text that `pagerelay prove --help` prints, with a newline at its end. */
export function proveUsage(): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    'Usage: pagerelay prove [flags]',
    '',
    'Tries every engine on every backing that this machine offers, and says which of them copy.',
    '',
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    '',
    'The first pages of a device are written and put back. Exit codes: 0; 1 when something copies that the engine is',
    'used for not copying; 2 for a wrong command line.',
    '',
  ].join('\n');
}

const options = {
  json: { type: 'boolean' },
  path: { type: 'string', multiple: true },
  engine: { type: 'string', multiple: true },
  seconds: { type: 'string' },
  help: { type: 'boolean' },
} as const;

function read<Value>(flag: Flag<Value>, text: string): Value {
  const value = flag.read([text]);
  if (value === undefined) throw new UsageError(`--${flag.flag} must be ${flag.rule}, not ${JSON.stringify(text)}`);
  return value;
}
