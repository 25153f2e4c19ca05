/** Which command is run, and what is said when it fails. What a command needs is loaded when it is run. @module */
import { version } from '../observe/build-info.ts';
import { leave, print } from './ending.ts';
import { parseServeOptions, UsageError, usage } from './options.ts';
import { parseProveOptions, proveUsage } from './prove-options.ts';
import { errors } from './streams.ts';

/** A command: what it does with the arguments after its name, and how it is used. */
type Command = { readonly run: (argv: readonly string[]) => Promise<void>; readonly usage: () => string };

const commands: Readonly<Record<string, Command>> = {
  serve: { run: runServe, usage },
  prove: { run: runProve, usage: proveUsage },
};

async function runServe(argv: readonly string[]): Promise<void> {
  const parsed = parseServeOptions(argv, process.env);
  if (parsed.kind === 'help') await tell(`${usage()}\n`);
  else if (parsed.kind === 'version')
    await tell(`${version}
`);
  else if (parsed.kind === 'check') await tell(await (await import('./check.ts')).check(parsed.options));
  else await (await import('./serve.ts')).serve(parsed.options);
}

async function runProve(argv: readonly string[]): Promise<void> {
  process.removeAllListeners('SIGHUP'); // It ends with its terminal, as any command that is no service.
  const parsed = parseProveOptions(argv, process.env);
  if (parsed.kind === 'help') {
    await tell(`${proveUsage()}\n`);
    return;
  }
  const { prove } = await import('./prove.ts');
  const { text, isMet } = await prove(parsed.options, parsed.json);
  await tell(text);
  if (!isMet) process.exitCode = 1;
}

/** Standard output is full or closed. */
class OutputLost extends Error {
  readonly code = 'output-lost';
}

async function tell(text: string): Promise<void> {
  if (!(await print(text))) throw new OutputLost('standard output could not be written');
}

const [first, ...others] = process.argv.slice(2);
const [name, argv] = first === undefined || first.startsWith('-') ? ['serve', process.argv.slice(2)] : [first, others];
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;

try {
  if (!command) throw new UsageError(`unknown command: ${name}`);
  await command.run(argv);
} catch (error) {
  errors.write(`pagerelay: ${explain(error)}\n`);
  await leave(error instanceof UsageError ? 2 : 1);
}

// What a user can mend needs no stack trace.
function explain(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\n${(command?.usage ?? usage)()}`;
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? error.message : (error.stack ?? error.message);
}
