import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { compareResults, renderComparison } from '../../loadtest/load-report/compare.ts';
import { renderHtml } from '../../loadtest/load-report/html.ts';
import { noiseOf } from '../../loadtest/load-report/notes.ts';
import { ProgressBar } from '../../loadtest/load-report/progress-bar.ts';
import { type Results, readResults, withoutTrials } from '../../loadtest/load-report/results.ts';
import { limitOf } from '../../loadtest/load-report/rows.ts';
import { renderSummary } from '../../loadtest/load-report/summary.ts';
import { alignColumns, renderTerminal } from '../../loadtest/load-report/terminal.ts';
import { verdictOf } from '../../loadtest/load-report/words.ts';
import { makeFolder } from '../../loadtest/load-report/write.ts';
import { UsageError } from '../../loadtest/options.ts';
import { scenarios } from '../../loadtest/scenarios/scenarios.ts';
import { metricsMissing } from '../../loadtest/trial/run.ts';
import { clientResult, loadResults, trialOf } from './load-samples.ts';
import { folderFor } from './run-loadtest.ts';
import { unlikeSchema } from './schema.ts';

function duel(ours: readonly number[], theirs: readonly number[], cpu = 1): Results {
  return loadResults([
    ...ours.map((requests, at) => trialOf('ours', at + 1, requests, cpu)),
    ...theirs.map((requests, at) => trialOf('theirs', at + 1, requests, 1)),
    trialOf('ours', 1, 50, 1, 'zipf-16k'),
  ]);
}

describe('rows', () => {
  test('have the median of their rounds, and ratios of the same round', () => {
    const { rows } = duel([300, 100], [100, 100]);
    const [ours, theirs, alone] = rows;
    assert.equal(ours?.requestsPerSecond.median, 200);
    assert.equal(ours?.ratios, null);
    assert.deepEqual(theirs?.ratios?.requests, { median: 2, min: 1, max: 3 });
    assert.equal(alone?.scenario, 'zipf-16k');
    assert.equal(ours?.switchesPerRequest, 1);
  });

  test('say who was at its limit', () => {
    assert.equal(limitOf({}, 0.98, 0.5), 'server');
    assert.equal(limitOf({}, 0.5, 0.98), 'client');
    assert.equal(limitOf({}, 0.98, 0.98), 'both');
    assert.equal(limitOf({}, 0.5, 0.5), 'neither');
    assert.equal(limitOf({ rate: 10 }, 0.5, 0.5), 'rate');
    assert.equal(limitOf({ rate: 10 }, 0.5, 0.98), 'client');
    assert.equal(limitOf({ rate: 10, isRateReached: false }, 0.98, 0.5), 'rate not reached');
    assert.equal(limitOf({ bytesPerSecond: 10 }, 0.5, 0.5), 'readers');
    assert.equal(limitOf({}, null, 0.5), null);
  });
});

describe('reports', () => {
  const fault = {
    kind: 'wrong-bytes',
    detail: 'a <wrong> byte',
    peer: 'ours',
    scenario: 'random-4k',
    round: 1,
  } as const;
  const failed = loadResults([trialOf('ours', 1, 10, 1)], { faults: [fault], end: 'faults' });

  test('a table has as many cells in each line', () => {
    const text = renderSummary(duel([1, 2], [3, 4]));
    for (const table of text.match(/(?:^\|.*\|\n)+/gm) ?? []) {
      assert.equal(
        new Set(
          table
            .trim()
            .split('\n')
            .map((line) => line.split('|').length),
        ).size,
        1,
        table,
      );
    }
    assert.match(text, /\*\*Passed: /);
    assert.match(text, /autocannon 9\.0\.0 made the requests for ranges of up to 256 KiB/);
  });

  test('say what was wrong, wherever', () => {
    for (const text of [renderTerminal(failed), renderSummary(failed)]) {
      assert.match(text, /wrong-bytes \(ours, random-4k, round 1\): a <wrong> byte/);
    }
    assert.match(renderHtml(failed), /FAILED: 1 fault, .*a &lt;wrong&gt; byte/);
    assert.doesNotMatch(renderHtml(failed), /<wrong>/);
  });

  test('mark rows that the client limited', () => {
    const trial = trialOf('ours', 1, 10, 0.1);
    const bound = loadResults([{ ...trial, main: { ...trial.main, cpuSeconds: 1 } }]);
    assert.match(renderTerminal(bound), /CLIENT/);
    assert.match(renderSummary(bound), /Limited by CLIENT.*random-4k/);
    assert.match(renderHtml(bound), /class="client"/);
  });

  test('the page needs nothing from elsewhere', () => {
    const html = renderHtml(duel([1, 2], [3, 4]));
    assert.doesNotMatch(html, /<script|<link|<img|@import|url\(|src=/);
    assert.doesNotMatch(html.replaceAll('http://www.w3.org', ''), /https?:\/\//);
  });

  test('show what a writer did beside the load', () => {
    const { latency } = clientResult(100);
    const counts = { seconds: 2, written: 190, busy: 7, missed: 3, errors: 0, firstError: null, cpuSeconds: 0.1 };
    const trial = { ...trialOf('ours', 1, 10, 1, 'writer-64k'), writes: { ...counts, latency } };
    const results = loadResults([trial]);
    assert.match(renderSummary(results), /\| writer-64k \| 95 \| 7 \| 3 \| 0.984 \|/);
    assert.match(renderTerminal(results), /written\/s/);
    assert.match(renderHtml(results), /written\/s/);
    assert.deepEqual(unlikeSchema(JSON.parse(JSON.stringify(results))), []);
  });

  test('say when no counter was compared', () => {
    const trial = { ...trialOf('ours', 1, 10, 1), isReconciled: false };
    const missing = [{ name: metricsMissing, why: '/metrics answers 404' }];
    assert.match(verdictOf(loadResults([trial], { missing })), /NOT compared: \/metrics answers 404/);
  });

  test('say it of a machine that was busy', () => {
    assert.equal(noiseOf({ ...duel([1], [1]).conditions.machine, loadBefore: 1 }), undefined);
    assert.match(noiseOf({ ...duel([1], [1]).conditions.machine, loadBefore: 1.1 }) ?? '', /busy before the run/);
  });

  test('of two runs in one second have a folder each', (scope) => {
    const out = folderFor(scope);
    const options = { out, saveBaseline: join(out, 'baseline.json') };
    const folders = [1, 2, 3].map(() => makeFolder(options, new Date(0)));
    assert.equal(new Set(folders).size, 3);
    assert.deepEqual(readdirSync(out).sort(), folders.map((folder) => basename(folder)).sort());
    const nowhere = join(out, 'nowhere', 'baseline.json');
    assert.throws(() => makeFolder({ ...options, saveBaseline: nowhere }, new Date(0)), UsageError);
  });

  test('columns stand under each other', () => {
    assert.equal(
      alignColumns([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
      'a    bb\nccc   d',
    );
  });

  test('results keep to their schema, and so does what is kept of them', async () => {
    for (const results of [duel([1, 2], [3, 4]), failed, withoutTrials(failed)]) {
      assert.deepEqual(unlikeSchema(JSON.parse(JSON.stringify(results))), []);
    }
  });
});

describe('the progress', () => {
  const [scenario] = scenarios;

  test('is a bar on a terminal, and a line a load elsewhere', () => {
    for (const isTTY of [true, false]) {
      let shown = '';
      const bar = new ProgressBar({ isTTY, columns: 80, write: (text) => (shown += text) });
      bar.planned(2);
      if (scenario) bar.began(scenario, 'ours', 1);
      bar.ended(trialOf('ours', 1, 10, 1));
      if (scenario) bar.began(scenario, 'theirs', 1);
      bar.end();
      assert.match(
        shown,
        isTTY ? /█{12}░{12} 1\/2 {2}random-4k, theirs, round 1/ : /^1\/2 random-4k, ours, round 1: 10 /,
      );
      assert.equal(shown.includes('\n'), !isTTY);
    }
  });
});

describe('a comparison', () => {
  const old = duel([200, 210, 190], [100, 100, 100]);

  test('of a run with itself is not worse', () => {
    const same = compareResults(old, old, 0.25);
    assert.equal(same.isWorse, false);
    assert.match(renderComparison(same), /Not worse/);
  });

  test('looks at ratios alone: a machine of half the speed is not worse', () => {
    assert.equal(compareResults(old, duel([100, 105, 95], [50, 50, 50]), 0.25).isWorse, false);
  });

  test('finds fewer requests than before, beside the same server', () => {
    const worse = compareResults(old, duel([120, 121, 119], [100, 100, 100]), 0.25);
    assert.equal(worse.isWorse, true);
    assert.match(renderComparison(worse), /random-4k \| theirs \| requests\/s .*67 % worse \| \*\*WORSE\*\*/);
  });

  test('takes no notice of a rate that a client limited, or was told', () => {
    for (const limit of ['client', 'rate'] as const) {
      const slower = duel([120, 121, 119], [100, 100, 100]);
      const limited = { ...slower, rows: slower.rows.map((row) => ({ ...row, limit })) };
      const { figures } = compareResults(old, limited, 0.25);
      assert.deepEqual(
        figures.map(({ figure }) => figure),
        ['CPU'],
      );
    }
  });

  test('minds no other server that a client limited', () => {
    const other = trialOf('others', 1, 100, 1);
    const limited = { ...other, main: { ...other.main, cpuSeconds: 1 }, server: undefined };
    const both = loadResults([...old.trials, limited]);
    const figures = compareResults(both, both, 0.25).figures.filter(({ figure }) => figure === 'requests/s');
    assert.deepEqual(
      figures.map(({ peer }) => peer),
      ['theirs'],
    );
  });

  test('compares no rows that different clients made', () => {
    const rows = old.rows.map((row) => ({ ...row, client: 'undici' as const }));
    const { figures, lost } = compareResults(old, { ...old, rows }, 0.25);
    assert.deepEqual([figures, lost], [[], ['random-4k, theirs']]);
  });

  test('finds more CPU than before', () => {
    const worse = compareResults(old, duel([200, 210, 190], [100, 100, 100], 2), 0.25);
    assert.deepEqual(
      worse.figures.filter(({ isWorse }) => isWorse).map(({ figure }) => figure),
      ['CPU'],
    );
  });

  test('takes no notice below the threshold, nor where rounds of both runs overlap', () => {
    assert.equal(compareResults(old, duel([170, 171, 169], [100, 100, 100]), 0.25).isWorse, false);
    assert.equal(compareResults(old, duel([120, 121, 195], [100, 100, 100]), 0.25).isWorse, false);
  });

  test('is worse when the new run failed, or has nothing in common', () => {
    assert.equal(compareResults(old, { ...old, end: 'faults' }, 0.25).isWorse, true);
    const other = compareResults(old, loadResults([trialOf('ours', 1, 1, 1)]), 0.25);
    assert.deepEqual([other.isWorse, other.lost], [true, ['random-4k, theirs']]);
  });

  test('with the stored baseline can be made', () => {
    const baseline = readResults('loadtest/baseline.json');
    const { name, rounds, seconds } = baseline.profile;
    assert.deepEqual([name, rounds, seconds], ['full', 5, 1.5]);
    const { machine, commit } = baseline.conditions;
    assert.ok(machine.loadBefore < machine.processors / 2, 'on a quiet machine');
    assert.equal(commit?.isChanged, false);
    assert.ok(compareResults(baseline, baseline, 0.25).figures.length > 20);
  });
});
