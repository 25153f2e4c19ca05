/**
 * `npm run loadtest` and `npm run bench`: puts servers under load, checks what they answer and count, and writes reports.
 * Exit codes: 0, 1 (something was wrong, or worse than before), 2 (usage), 130 (interrupted).
 *
 * @module
 */
import { readdirSync, rmdirSync } from 'node:fs';
import { choosePins } from './measure/pin.ts';
import { type Asked, listOfScenarios, parseOptions, type RunOptions, UsageError, usage } from './options.ts';
import { compareResults, renderComparison } from './report/compare.ts';
import { renderTerminal } from './report/markdown.ts';
import { ProgressBar } from './report/progress-bar.ts';
import { describeConditions, type Results, readResults, resultsOf } from './report/results.ts';
import { noiseOf, verdictOf } from './report/words.ts';
import { makeFolder, writeReports } from './report/write.ts';
import { baselineName } from './run/field.ts';
import { runAll } from './run/run.ts';
import { RunScope } from './run/run-scope.ts';

async function measure(scope: RunScope, options: RunOptions, command: string): Promise<Results> {
  const began = performance.now();
  const clock = () => (performance.now() - began) / 1000;
  const startedAt = new Date().toISOString();
  const conditions = describeConditions(command, choosePins());
  const noise = noiseOf(conditions.machine);
  if (noise !== undefined) console.error(`*** ${noise}`);
  const bar = new ProgressBar(process.stderr);
  const outcome = await runAll({ scope, pins: choosePins, clock }, options, bar);
  bar.end();
  const { profile, scenarios } = options;
  const baseline = options.target ? (outcome.servers[0]?.name ?? baselineName) : baselineName;
  return resultsOf(outcome, { startedAt, seconds: clock(), baseline, conditions, profile, scenarios });
}

async function run(options: RunOptions, command: string): Promise<number> {
  const folder = makeFolder(options, new Date());
  const scope = new RunScope();
  try {
    const results = await measure(scope, options, command);
    writeReports(results, folder, options);
    for (const { name, why } of results.missing) console.error(`*** ${name} is NOT measured: ${why}`);
    console.log(renderTerminal(results));
    console.log(`\n${verdictOf(results)}\n${folder}/report.html`);
    if (results.end === 'interrupted') return 130;
    return results.end === 'complete' ? 0 : 1;
  } catch (error) {
    if (readdirSync(folder).length === 0) rmdirSync(folder);
    if (!scope.signal.aborted) throw error;
    console.error('interrupted: nothing was measured');
    return 130;
  } finally {
    await scope.end();
  }
}

function compare({ old, new: newer, threshold }: Extract<Asked, { kind: 'compare' }>): number {
  const comparison = compareResults(readResults(old), readResults(newer), threshold);
  console.log(renderComparison(comparison));
  return comparison.isWorse ? 1 : 0;
}

// As it was typed.
function commandOf(argv: readonly string[]): string {
  const isBench = argv[0] === '--profile' && argv[1] === 'bench';
  const more = isBench ? argv.slice(2) : argv;
  return [`npm run ${isBench ? 'bench' : 'loadtest'}`, ...(more.length > 0 ? ['--', ...more] : [])].join(' ');
}

async function main(argv: readonly string[]): Promise<number> {
  const asked = parseOptions(argv);
  if (asked.kind === 'compare') return compare(asked);
  if (asked.kind === 'run') return run(asked.options, commandOf(argv));
  console.log(asked.kind === 'help' ? usage() : listOfScenarios());
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\nnpm run loadtest -- --help tells how to call it` : error);
  process.exitCode = isUsage ? 2 : 1;
}
