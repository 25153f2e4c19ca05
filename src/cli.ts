#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseServeOptions, UsageError, usage } from './command/options.ts';
import { prove } from './command/prove.ts';
import { parseProveOptions, proveUsage } from './command/prove-options.ts';
import { serve } from './command/serve.ts';
import { NameClash } from './region/catalog.ts';

/** A command: what it does with the arguments after its name, and how it is used. */
type Command = { readonly run: (argv: readonly string[]) => Promise<void>; readonly usage: () => string };

const commands: Readonly<Record<string, Command>> = {
  serve: { run: runServe, usage },
  prove: { run: runProve, usage: proveUsage },
};

async function runServe(argv: readonly string[]): Promise<void> {
  const parsed = parseServeOptions(argv, process.env);
  if (parsed.kind === 'help') console.log(usage());
  else if (parsed.kind === 'version') console.log(version());
  else await serve(parsed.options);
}

async function runProve(argv: readonly string[]): Promise<void> {
  const parsed = parseProveOptions(argv, process.env);
  if (parsed.kind === 'help') console.log(proveUsage());
  else if (!(await prove(parsed.options, parsed.json))) process.exitCode = 1;
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const [first, ...others] = process.argv.slice(2);
const [name, argv] = first === undefined || first.startsWith('-') ? ['serve', process.argv.slice(2)] : [first, others];
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;

try {
  if (!command) throw new UsageError(`unknown command: ${name}`);
  await command.run(argv);
} catch (error) {
  console.error(`pagerelay: ${explain(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

// What a user can mend needs no stack trace.
function explain(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\n${(command?.usage ?? usage)()}`;
  const expected = error instanceof NameClash || (error instanceof Error && 'code' in error);
  if (expected) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
