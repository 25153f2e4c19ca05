#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseServeOptions, UsageError, usage } from './command/options.ts';
import { serve } from './command/serve.ts';
import { NameClash } from './region/catalog.ts';

const commands = ['serve'];

async function main(argv: readonly string[]): Promise<void> {
  const [command, ...rest] = argv[0] === undefined || argv[0].startsWith('-') ? ['serve', ...argv] : argv;
  if (!commands.includes(command ?? '')) throw new UsageError(`unknown command: ${command}`);
  const parsed = parseServeOptions(rest, process.env);
  if (parsed.kind === 'help') console.log(usage());
  else if (parsed.kind === 'version') console.log(version());
  else await serve(parsed.options);
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`pagerelay: ${explain(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

// What a user can mend needs no stack trace.
function explain(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\n${usage()}`;
  const expected = error instanceof NameClash || (error instanceof Error && 'code' in error);
  if (expected) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
