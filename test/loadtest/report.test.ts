import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { scenarios } from '../../loadtest/model/scenarios.ts';
import { UsageError } from '../../loadtest/options.ts';
import { compareResults, renderComparison } from '../../loadtest/report/compare.ts';
import { renderHtml } from '../../loadtest/report/html.ts';
import { renderMarkdown, renderTerminal } from '../../loadtest/report/markdown.ts';
import { ProgressBar } from '../../loadtest/report/progress-bar.ts';
import { baselineOf, type Results, readResults } from '../../loadtest/report/results.ts';
import { limitOf } from '../../loadtest/report/rows.ts';
import { alignColumns } from '../../loadtest/report/text.ts';
import { goalsOf, overviewOf, sentencesOf } from '../../loadtest/report/verdicts.ts';
import { noiseOf, verdictOf } from '../../loadtest/report/words.ts';
import { makeFolder } from '../../loadtest/report/write.ts';
import { metricsMissing } from '../../loadtest/run/target.ts';
import { folderFor } from './run-loadtest.ts';
import { clientResult, loadResults, trialOf } from './samples.ts';
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
    assert.equal(limitOf({ rate: 10 }, 0.98, 0.5, false), 'rate not reached');
    assert.equal(limitOf({ bytesPerSecond: 10 }, 0.5, 0.5), 'readers');
    assert.equal(limitOf({}, null, 0.5), null);
  });
});

describe('reports', () => {
  const fault = {
    kind: 'wrong-bytes',
    detail: 'a <wrong> byte',
    server: 'ours',
    scenario: 'random-4k',
    round: 1,
  } as const;
  const failed = loadResults([trialOf('ours', 1, 10, 1)], { faults: [fault], end: 'faults' });

  test('a table has as many cells in each line', () => {
    const text = renderMarkdown(duel([1, 2], [3, 4]));
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
    assert.match(text, /autocannon made the requests for ranges of up to 256 KiB/);
  });

  test('have a line for who can’t run a scenario, and none of the service among those it ran alone', () => {
    const missing = [{ name: 'ours in unix-4k, head', why: 'not supported: unix sockets' }];
    const text = renderMarkdown(loadResults([trialOf('theirs', 1, 10, 1, 'unix-4k')], { missing }));
    assert.match(text, /## unix-4k[\s\S]*\| theirs \|[\s\S]*\| ours \| not supported: unix sockets \| – \|/);
    assert.doesNotMatch(text, /other patterns/);
  });

  test('say what was wrong, wherever', () => {
    for (const text of [renderTerminal(failed), renderMarkdown(failed)]) {
      assert.match(text, /wrong-bytes \(ours, random-4k, round 1\): a <wrong> byte/);
    }
    assert.match(renderHtml(failed), /FAILED: 1 fault, .*a &lt;wrong&gt; byte/);
    assert.doesNotMatch(renderHtml(failed), /<wrong>/);
  });

  test('mark rows that the client limited', () => {
    const trial = trialOf('ours', 1, 10, 0.1);
    const bound = loadResults([{ ...trial, main: { ...trial.main, cpuSeconds: 1 } }]);
    assert.match(renderTerminal(bound), /CLIENT/);
    assert.match(renderMarkdown(bound), /Limited by CLIENT.*random-4k/);
    assert.match(renderHtml(bound), /class="client"/);
  });

  test('the page needs nothing from elsewhere', () => {
    const html = renderHtml(duel([1, 2], [3, 4]));
    assert.doesNotMatch(html, /<script|<link|<img|@import|url\(|src=/);
    assert.doesNotMatch(html.replaceAll('http://www.w3.org', ''), /https?:\/\//);
  });

  test('show what a writer did beside the load, and what it cost', () => {
    const { latency } = clientResult(100);
    const counts = { seconds: 2, written: 190, busy: 7, missed: 3, errors: 0, firstError: null, cpuSeconds: 0.1 };
    const beside = trialOf('ours, beside 100 overwrites/s', 1, 10, 2, 'writer-64k');
    // 0.1 s a read without, 0.2 s with: 1 s more in a second of 95 writes.
    const results = loadResults([
      trialOf('ours', 1, 10, 1, 'writer-64k'),
      { ...beside, writes: { ...counts, latency } },
    ]);
    assert.match(renderMarkdown(results), /\| writer-64k \| 95 \| 7 \| 3 \| 0.5 \| 0.99 \| 10.5 \(10.5..10.5\) \|/);
    assert.match(renderTerminal(results), /written\/s/);
    assert.match(renderHtml(results), /written\/s/);
    assert.match(
      sentencesOf(results).join(),
      /beside 100 overwrites\/s\*\*: of the requests a second without a writer, readers get 0 % in writer-64k/,
    );
    assert.deepEqual(unlikeSchema(JSON.parse(JSON.stringify(results))), []);
  });

  test('say at a glance, in words and by goals what the service is beside another server', () => {
    const nginx = (requests: number, scenario: string) => trialOf('nginx + open_file_cache', 1, requests, 1, scenario);
    const results = loadResults([
      ...[trialOf('ours', 1, 300, 1), nginx(200, 'random-4k')],
      ...[trialOf('ours', 1, 20, 1, 'close-4k'), nginx(100, 'close-4k')],
    ]);
    assert.deepEqual(overviewOf(results).lines, [
      ['random-4k', '1.5, 0.667'],
      ['close-4k', '0.2, 5'],
    ]);
    const [goals, beside] = sentencesOf(results);
    assert.match(goals ?? '', /2 of 4 goals/);
    assert.match(
      beside ?? '',
      /more requests a second in random-4k \(1.5 times\); fewer requests a second in close-4k/,
    );
    const met = goalsOf(results).map(({ what, isMet }) => [what, isMet]);
    assert.ok(met.some(([what, isMet]) => what === 'random-4k: requests/s over nginx + open_file_cache' && isMet));
    assert.ok(met.some(([what, isMet]) => what === 'close-4k: server CPU over nginx + open_file_cache' && !isMet));
  });

  test('of idle connections tell what each takes, and no rate', () => {
    const trial = trialOf('ours', 1, 100, 1, 'idle');
    const idle = { residentBytes: 11 * 1024, nativeBytes: 500 };
    const results = loadResults([{ ...trial, idle }]);
    assert.match(renderMarkdown(results), /\| ours \| 100 \| 11 \(11..11\) \| 500 \(500..500\) \|/);
    assert.match(sentencesOf(results).join(), /idle connection\*\* takes 11 KiB for ours/);
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
    const options = { out, saveBaseline: join(out, 'baseline.json'), document: undefined };
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

  test('results keep to their schema', () => {
    for (const results of [duel([1, 2], [3, 4]), failed]) {
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
    const limited = { ...other, main: { ...other.main, cpuSeconds: 1 }, use: undefined as never };
    const both = loadResults([...old.trials, limited]);
    const figures = compareResults(both, both, 0.25).figures.filter(({ figure }) => figure === 'requests/s');
    assert.deepEqual(
      figures.map(({ server }) => server),
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

  test('needs no more of a run than what a baseline keeps', () => {
    assert.deepEqual(compareResults(baselineOf(old), old, 0.25), compareResults(old, old, 0.25));
  });

  test('with the stored baseline can be made', () => {
    const baseline = readResults('loadtest/baseline.json');
    assert.equal(baseline.profile.name, 'ci');
    assert.equal(baseline.conditions.commit?.isChanged, false);
    assert.ok(compareResults(baseline, baseline, 0.25).figures.length >= 6);
  });

  test('is with a stored baseline of a machine that had time for it', () => {
    // The average still has what ended in the minute before: the notes of a run begin at half of this.
    const { loadBefore, processors } = readResults('loadtest/baseline.json').conditions.machine;
    assert.ok(loadBefore <= processors, `a load average of ${loadBefore} on ${processors} processors`);
  });
});
