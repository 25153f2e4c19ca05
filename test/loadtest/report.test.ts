import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from '../../loadtest/report/comparison.ts';
import { type Report, renderReport } from '../../loadtest/report/markdown.ts';
import { writeSpread } from '../../loadtest/report/table.ts';
import { parseSize, writeList, writeNumber, writeSize } from '../../loadtest/report/units.ts';
import { sentenceOf, verdictOf } from '../../loadtest/report/verdict.ts';
import type { Sample } from '../../loadtest/run/rounds.ts';
import { sample } from './samples.ts';

const machine = {
  processor: 'A Processor',
  processors: 2,
  memoryBytes: 8 * 2 ** 30,
  kernel: 'Linux 6.18',
  node: 'v24.0.0',
  pagerelay: '0.1.0',
  loadBefore: 0.5,
  date: '2030-01-02 03:04',
};

const cast = { baseline: 'ours', rival: 'theirs', floor: 'the floor', copyBelow: 'ours that copies' };

function reportOf(samples: readonly Sample[], rounds: number): Report {
  return {
    machine,
    congestionControl: 'bbr',
    pins: { server: [0], client: [1] },
    command: 'npm run bench',
    minutes: 5.5,
    rounds,
    seconds: 1,
    connections: 16,
    regionBytes: 64 * 2 ** 20,
    wholeBytes: 2 ** 30,
    cast,
    peers: [
      { name: 'ours', about: 'what we make' },
      { name: 'theirs', about: 'what they make' },
    ],
    missing: [{ name: 'another', why: 'it is not installed' }],
    results: { servers: samples },
  };
}

function rounds(ours: readonly number[], theirs: readonly number[], size = 4096): Sample[] {
  return [
    ...ours.map((requests, at) => sample({ peer: 'ours', round: at + 1, requests, size })),
    ...theirs.map((requests, at) => sample({ peer: 'theirs', round: at + 1, requests, size })),
  ];
}

test('rounds that agree make a verdict, others make none', () => {
  assert.equal(verdictOf({ median: 1.2, min: 1.1, max: 1.3 }), 'more');
  assert.equal(verdictOf({ median: 0.8, min: 0.7, max: 0.9 }), 'fewer');
  assert.equal(verdictOf({ median: 1.2, min: 0.9, max: 1.3 }), 'level');
  assert.equal(verdictOf({ median: 1, min: 1, max: 1 }), 'level');
});

test('a sentence tells where the baseline wins, where it loses, and at what CPU', () => {
  const samples = [...rounds([300, 300], [100, 100]), ...rounds([50, 50], [100, 100], 65536)];
  const sentence = sentenceOf(compare(samples, 'ours'), 'ours', 'theirs');
  assert.equal(
    sentence,
    'Beside **theirs**, ours answers more requests a second at 4 KiB (3 times); fewer requests a second at 64 KiB ' +
      '(0.5 times). Of its CPU per request it uses 0.333 times at 4 KiB and 2 times at 64 KiB.',
  );
});

test('a sentence says where the server was not what limited its rate', () => {
  const idle = { ...sample({ peer: 'theirs', requests: 100, cpuSeconds: 0.4 }) };
  const sentence = sentenceOf(compare([sample({ peer: 'ours' }), idle], 'ours'), 'ours', 'theirs');
  assert.match(sentence ?? '', /not limited by its own processor alone at 4 KiB \(40 % busy\)\.$/);
});

test('there is no sentence on the baseline', () => {
  assert.equal(sentenceOf(compare(rounds([1], [1]), 'ours'), 'ours', 'ours'), undefined);
});

test('the report has one table a size, each with a row for every server that ran', () => {
  const samples = [...rounds([300, 300, 300], [100, 100, 150]), ...rounds([50, 50, 50], [100, 100, 100], 65536)];
  const text = renderReport(reportOf(samples, 3));
  assert.deepEqual(text.match(/^## Ranges of .*$/gm), ['## Ranges of 4 KiB', '## Ranges of 64 KiB']);
  assert.equal(text.match(/^\| (ours|theirs) \| \d/gm)?.length, 4);
  assert.match(text, /^\| theirs \| 100 \|.*\| 3 \(2\.\.3\) \|/m);
});

test('every row of a table has as many cells as its head', () => {
  const samples = [...rounds([1], [1]), ...rounds([1], [1], 2 ** 30)];
  const idle = { connections: 7, samples: [{ peer: 'ours', round: 1, resident: 1, native: 1 }] };
  const duels = {
    connections: samples,
    rate: samples,
    fresh: samples,
    cores: { one: samples, two: samples, shared: true },
  };
  const text = renderReport({ ...reportOf(samples, 1), results: { servers: samples, ...duels, idle } });
  const tables = text.match(/(?:^\|.*\|\n)+/gm) ?? [];
  assert.equal(tables.length, 8);
  for (const lines of tables.map((table) => table.trim().split('\n'))) {
    assert.equal(new Set(lines.map((line) => line.split('|').length)).size, 1, lines[0]);
  }
});

test('the report names the machine, what ran, and what could not', () => {
  const text = renderReport(reportOf(rounds([1], [1]), 1));
  for (const expected of ['A Processor', 'Linux 6.18', 'v24.0.0', '8 GiB', '2030-01-02', 'what they make']) {
    assert.ok(text.includes(expected), expected);
  }
  assert.match(text, /another: not measured, it is not installed/);
  assert.match(text, /server on processor 0, client on 1/);
});

test('the report says when there were too few rounds to tell', () => {
  assert.match(renderReport(reportOf(rounds([1], [1]), 1)), /Of 1 round only/);
  assert.doesNotMatch(renderReport(reportOf(rounds([1, 1, 1], [1, 1, 1]), 3)), /only: a try/);
});

test('the whole of a region is called that, and the report says how long it took', () => {
  const text = renderReport(reportOf(rounds([1], [1], 2 ** 30), 1));
  assert.match(text, /^## The whole of 1 GiB, without Range$/m);
  assert.match(text, /in 5\.5 minutes/);
});

test('sizes are read and written in binary units', () => {
  assert.deepEqual(['4096', '4K', '4KiB', '16M', '1GiB'].map(parseSize), [4096, 4096, 4096, 2 ** 24, 2 ** 30]);
  assert.deepEqual(['', 'K', '4k', '-1', '4 K', '1.5M', '0x10'].map(parseSize), Array(7).fill(undefined));
  assert.deepEqual([1, 4096, 6144, 2 ** 24, 1025].map(writeSize), [
    '1 bytes',
    '4 KiB',
    '6 KiB',
    '16 MiB',
    '1025 bytes',
  ]);
});

test('numbers are written with the digits that count', () => {
  const written = [0, 0.01234, 1.005, 12.345, 99.96, 123.4, 12345.6, Number.NaN].map(writeNumber);
  assert.deepEqual(written, ['0', '0.0123', '1', '12.3', '100', '123', '12,346', '–']);
  assert.equal(writeSpread({ median: 1.25, min: 1.2, max: 1.31 }), '1.25 (1.2..1.31)');
  assert.equal(writeSpread(undefined), '');
});

test('lists are written as a sentence has them', () => {
  assert.deepEqual([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(writeList), ['', 'a', 'a and b', 'a, b and c']);
});
