/** Tells of each test that has ended as one line of JSON, for the host. @module */
import { basename } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/** One test; `names` are those of the tests around it and its own. */
export type Reported = {
  readonly file: string;
  readonly names: readonly string[];
  readonly passed: boolean;
  readonly skipped: string | undefined;
  readonly milliseconds: number;
  readonly error: string | undefined;
  readonly notes: readonly string[];
};

// biome-ignore lint/style/noDefaultExport: what node:test asks a reporter for
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const open: string[] = [];
  const parents = new Set<string>();
  let notes: string[] = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') open.length = data.nesting;
    if (type === 'test:start') parents.add(open.join('\0'));
    if (type === 'test:start') open.push(data.name);
    if (type === 'test:diagnostic') notes.push(data.message);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const names = [...open.slice(0, data.nesting), data.name];
    // Of what has parts, the parts are told; unless it failed by itself.
    const isWhole = parents.has(names.join('\0'));
    if (isWhole && type === 'test:pass') continue;
    const { duration_ms: milliseconds } = data.details;
    const error = type === 'test:fail' ? describe(data.details.error) : undefined;
    const skipped = data.skip === undefined ? undefined : String(data.skip);
    const file = basename(data.file ?? '');
    yield `${JSON.stringify({ file, names, passed: type === 'test:pass', skipped, milliseconds, error, notes })}\n`;
    notes = [];
  }
}

function describe(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : `${cause ?? error.message}`;
}
