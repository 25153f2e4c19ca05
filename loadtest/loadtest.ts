/**
 * `npm run loadtest`: puts a service under load, checks what it answers and counts, and writes a report.
 * Exit codes: 0, 1 (something was wrong, or worse than before), 2 (usage), 130 (interrupted).
 *
 * @module
 */
import { readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { compareResults, renderComparison } from './load-report/compare.ts';
import { noiseOf } from './load-report/notes.ts';
import { ProgressBar } from './load-report/progress-bar.ts';
import { describeConditions, type Results, readResults, resultsOf } from './load-report/results.ts';
import { renderTerminal } from './load-report/terminal.ts';
import { verdictOf } from './load-report/words.ts';
import { makeFolder, writeReports } from './load-report/write.ts';
import { type CompareOptions, type LoadtestOptions, loadtestUsage, parseLoadtestOptions } from './loadtest-options.ts';
import { choosePins } from './measure/pin.ts';
import { UsageError } from './options.ts';
import { memoryFolder } from './parts/bench-run.ts';
import { RunScope } from './run-scope.ts';
import { baselineName, peerWords, usualPeers } from './trial/field.ts';
import { runAll } from './trial/run.ts';

async function measure(scope: RunScope, options: LoadtestOptions, command: string): Promise<Results> {
  const began = performance.now();
  const clock = () => (performance.now() - began) / 1000;
  const startedAt = new Date().toISOString();
  const pins = choosePins();
  const conditions = describeConditions(command, pins);
  const noise = noiseOf(conditions.machine);
  if (noise !== undefined) console.error(`*** ${noise}`);
  const bar = new ProgressBar(process.stderr);
  const folders = { memoryFolder, folder: scope.folder(tmpdir()) };
  const outcome = await runAll({ scope, pins, ...folders, clock }, options, bar);
  bar.end();
  const { profile, scenarios } = options;
  const baseline = options.target ? (outcome.peers[0]?.name ?? baselineName) : baselineName;
  const about = { startedAt, seconds: clock(), baseline, conditions, profile, scenarios };
  return resultsOf(outcome, about);
}

async function run(options: LoadtestOptions, command: string): Promise<number> {
  const folder = makeFolder(options, new Date());
  const scope = new RunScope();
  try {
    const results = await measure(scope, options, command);
    writeReports(results, folder, options.saveBaseline);
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

function compare({ old, new: newer, threshold }: CompareOptions): number {
  const comparison = compareResults(readResults(old), readResults(newer), threshold);
  console.log(renderComparison(comparison));
  return comparison.isWorse ? 1 : 0;
}

async function main(argv: readonly string[]): Promise<number> {
  const asked = parseLoadtestOptions(argv, peerWords, usualPeers);
  if (asked.kind === 'compare') return compare(asked.options);
  if (asked.kind === 'help') {
    console.log(loadtestUsage(peerWords));
    return 0;
  }
  return run(asked.options, ['npm run loadtest', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' '));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\nnpm run loadtest -- --help tells how to call it` : error);
  process.exitCode = isUsage ? 2 : 1;
}
