import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sentenceOnWriting, summarizeWriting, writeChange } from '../../loadtest/report/writing.ts';
import { renderWriting } from '../../loadtest/report/writing-section.ts';
import type { Sample } from '../../loadtest/run/rounds.ts';
import { sample, writesOf } from './samples.ts';

/** Rounds of readers: alone, beside a writer, and alone again. */
function rounds(alone: readonly number[], beside: readonly number[], size = 65536): Sample[] {
  return alone.flatMap((requests, at) => {
    const round = { round: at + 1, size };
    return [
      sample({ ...round, peer: 'none', requests }),
      sample({ ...round, peer: 'steady', requests: beside[at] ?? 0, writes: writesOf([1, 2, 3, 40], at, 2 * at) }),
      sample({ ...round, peer: 'none any more', requests }),
    ];
  });
}

test('changes are against the readers without a writer of the same round', () => {
  const [table] = summarizeWriting('tmpfs', rounds([100, 200, 400], [90, 190, 320]));
  const [none, steady, after] = table?.rows ?? [];
  assert.equal(none?.change, undefined);
  assert.ok(Math.abs((steady?.change?.requests.median ?? 0) + 0.1) < 1e-9);
  assert.ok(Math.abs((steady?.change?.requests.min ?? 0) + 0.2) < 1e-9);
  assert.ok(Math.abs((steady?.change?.cpu.median ?? 0) - 1 / 9) < 1e-9);
  assert.deepEqual(after?.change?.requests, { median: 0, min: 0, max: 0 });
});

test('what the writer got is of all rounds together', () => {
  const [table] = summarizeWriting('tmpfs', rounds([1, 1], [1, 1]));
  assert.deepEqual(table?.writes, {
    perSecond: 2,
    p50: 2,
    p99: 40,
    longest: 40,
    busy: 1,
    missed: 2,
    writerBusy: 0.05,
    serverCpu: { median: 0, min: 0, max: 0 },
  });
});

test('CPU per write is what the server used beyond what as many reads cost', () => {
  // 1 s for 100 reads without; 1 s for 90 reads and 4 writes in 2 s with: 0.1 s a second for 2 writes a second.
  const [table] = summarizeWriting('tmpfs', rounds([100], [90]));
  assert.equal(Math.round(table?.writes.serverCpu.median ?? 0), 50);
});

test('a sentence tells of each file system and size, and whether the aim was reached', () => {
  const on = (fileSystem: string, beside: number, size?: number) =>
    summarizeWriting(fileSystem, rounds([100, 100, 100], [beside, beside, beside], size));
  assert.equal(
    sentenceOnWriting([...on('tmpfs', 98), ...on('ext4', 102, 2 ** 20)], 100, 65536),
    'Beside **a writer** that overwrites 64 KiB in place 100 times a second, readers get −2 % (−2..−2) requests a ' +
      'second at 64 KiB on tmpfs and +2 % (+2..+2) requests a second at 1 MiB on ext4: all under the 5 % aimed for.',
  );
  assert.match(sentenceOnWriting(on('tmpfs', 90), 100, 65536) ?? '', /−10 % \(−10\.\.−10\).*: 5 % was aimed for\.$/);
  assert.equal(sentenceOnWriting([], 100, 65536), undefined);
});

test('a change has its sign', () => {
  assert.equal(writeChange({ median: 0.0312, min: -0.1, max: 0.0001 }), '+3.1 % (−10..0)');
});

test('the section has a row for every state, size and file system, and one for each of their writers', () => {
  const tables = ['tmpfs', 'ext4'].flatMap((fileSystem) =>
    summarizeWriting(fileSystem, [...rounds([100], [90]), ...rounds([10], [9], 2 ** 20)]),
  );
  const text = renderWriting({ rate: 100, size: 65536, waitSeconds: 1, tables });
  const rows = text.match(/^\| (?:tmpfs|ext4) \|.*$/gm) ?? [];
  assert.equal(rows.length, 2 * 2 * 3 + 2 * 2);
  assert.match(text, /^\| ext4 \| 1 MiB \| steady \| 9 \|.*\| −10 % \(−10\.\.−10\) \|/m);
  assert.match(text, /^\| tmpfs \| 64 KiB \| 2 \| 2 \| 40 \| 40 \| 0 \| 0 \| 5 % \| 50 \(50\.\.50\) \|$/m);
  for (const lines of text.match(/(?:^\|.*\|\n?)+/gm) ?? []) {
    assert.equal(
      new Set(
        lines
          .trim()
          .split('\n')
          .map((line) => line.split('|').length),
      ).size,
      1,
      lines,
    );
  }
});
