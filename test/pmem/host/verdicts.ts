/** What a guest's step has brought back, told again as tests of this process. @module */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reported } from '../guest/json-reporter.ts';

/** One test of the guest's. */
export type Verdict = {
  readonly name: string;
  readonly passed: boolean;
  /** Why it was skipped. */
  readonly skipped: string | undefined;
  readonly milliseconds: number | undefined;
  readonly error: string | undefined;
};

const pollMilliseconds = 200;
const shownOfLog = 4000;
/** Of a file with more tests than these, those that passed are told together. */
const toldOneByOne = 40;

/** Waits until a step is over, or the guest is off. Its exit code; undefined where it did not come to an end. */
export async function exitCodeOf(folder: string, step: string, isOff: () => boolean): Promise<number | undefined> {
  const path = join(folder, `${step}.code`);
  while (!existsSync(path) && !isOff()) await delay(pollMilliseconds);
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined;
}

/** The verdicts of a step: of each test where it tells of them, else of the whole. */
export function verdictsOf(folder: string, step: string, code: number | undefined): Verdict[] {
  const log = readOptional(join(folder, `${step}.log`));
  const verdicts = [...reported(folder, step), ...printed(log), ...kernelWarnings(folder, step)];
  const failed = verdicts.some(({ passed }) => !passed);
  const whole = { milliseconds: undefined, skipped: undefined, error: undefined };
  if (code === 77) return [...verdicts, { ...whole, name: step, passed: true, skipped: log.trim().split('\n').at(-1) }];
  if (code === 0 && verdicts.length > 0) return verdicts;
  if (code === 0) return [{ ...whole, name: step, passed: true }];
  if (code === 1 && failed) return verdicts;
  const how = code === undefined ? 'the guest went off' : code === 124 ? 'it took too long' : `exit code ${code}`;
  const error = `${how}\n${log.slice(-shownOfLog)}`;
  return [...verdicts, { ...whole, name: `${step} comes to its end`, passed: false, error }];
}

/** What the kernel must not have warned of: that a file's blocks go while somebody has its pages. */
function kernelWarnings(folder: string, step: string): Verdict[] {
  const [, ...warnings] = readOptional(join(folder, `${step}.kernel`)).split('WARNING: ');
  if (warnings.length === 0) return [];
  const error = warnings.map((text) => text.slice(0, shownOfLog)).join('\n');
  const name = `the kernel has nothing to warn of during ${step}`;
  return [{ name, passed: false, skipped: undefined, milliseconds: undefined, error }];
}

/** By test/pmem/guest/json-reporter.ts. */
function reported(folder: string, step: string): Verdict[] {
  const lines = readOptional(join(folder, `${step}.jsonl`)).split('\n');
  return lines.flatMap((line) => {
    if (!line.endsWith('}')) return []; // The last one may have been cut off.
    const { file, names, ...rest } = JSON.parse(line) as Reported;
    return [{ ...rest, name: `${file.replace(/\.(test|guest)\.ts$/, '')}: ${names.join(' › ')}` }];
  });
}

/** By native-shim/test/test.c, which prints each function that has passed. */
function printed(log: string): Verdict[] {
  const passed = [...log.matchAll(/^ {2}(\w+)$/gm)].map(([, name = '']) => name.replaceAll('_', ' '));
  return passed.map((name) => ({ name, passed: true, skipped: undefined, milliseconds: undefined, error: undefined }));
}

function readOptional(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Tells verdicts as parts of a test. */
export async function tell(t: TestContext, verdicts: readonly Verdict[]): Promise<void> {
  for (const { name, passed, skipped, milliseconds, error } of shortened(verdicts)) {
    const took = milliseconds === undefined ? '' : ` [${(milliseconds / 1000).toFixed(1)} s in the guest]`;
    await t.test(`${name}${took}`, () => {
      // Everything that they need was made there.
      if (skipped !== undefined) throw new Error(`nothing may be skipped in a guest: ${skipped}`);
      if (!passed) throw new Error(error ?? 'it failed');
    });
  }
}

function shortened(verdicts: readonly Verdict[]): Verdict[] {
  const fileOf = ({ name }: Verdict) => name.slice(0, name.indexOf(': '));
  const isUneventful = ({ passed, skipped }: Verdict) => passed && skipped === undefined;
  const byFile = Map.groupBy(verdicts, (verdict) => (isUneventful(verdict) ? fileOf(verdict) : ''));
  return [...byFile].flatMap(([file, of]) => (file === '' || of.length <= toldOneByOne ? of : [together(file, of)]));
}

function together(file: string, verdicts: readonly Verdict[]): Verdict {
  const milliseconds = verdicts.reduce((sum, verdict) => sum + (verdict.milliseconds ?? 0), 0);
  return {
    name: `${file}: ${verdicts.length} tests`,
    passed: true,
    skipped: undefined,
    milliseconds,
    error: undefined,
  };
}
