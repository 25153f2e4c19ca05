import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  renderConnections,
  renderCores,
  renderFresh,
  renderRate,
  sentencesOnDuels,
} from '../../loadtest/report/duels.ts';
import { renderIdle, sentenceOnIdle } from '../../loadtest/report/idle-section.ts';
import { sample } from './samples.ts';

const cast = { baseline: 'ours', rival: 'theirs', floor: 'the floor', copyBelow: 'ours that copies' };

function duel(ours: number, theirs: number, more: { readonly connections?: number; readonly size?: number } = {}) {
  return [1, 2, 3].flatMap((round) => [
    sample({ ...more, peer: 'ours', round, requests: ours, p99: ours }),
    sample({ ...more, peer: 'theirs', round, requests: theirs, p99: theirs }),
  ]);
}

test('connections have a row for each number and server', () => {
  const samples = [...duel(100, 200, { connections: 1 }), ...duel(300, 200, { connections: 2000 })];
  const text = renderConnections(samples, cast);
  assert.match(text, /^\| 4 KiB \| 1 \| theirs \| 200 \|.*\| 0\.5 \(0\.5\.\.0\.5\) \|/m);
  assert.match(text, /^\| 4 KiB \| 2000 \| theirs \| 200 \|.*\| 1\.5 \(1\.5\.\.1\.5\) \|/m);
  assert.deepEqual(sentencesOnDuels({ connections: samples }, cast), [
    'By **connections**, at 4 KiB ours answers what theirs does 0.5 times with 1 and 1.5 times with 2000.',
  ]);
});

test('latency at a fixed rate is told by p50 and p99', () => {
  const text = renderRate(duel(100, 200), cast);
  assert.match(text, /^\| 4 KiB \| theirs \| 200 \| 10 \| 200 \| .* \| 1 \(1\.\.1\) \| 0\.5 \(0\.5\.\.0\.5\) \|$/m);
  assert.deepEqual(sentencesOnDuels({ rate: duel(100, 200) }, cast), [
    "At **half of theirs's peak**, ours's p99 is 0.5 times (at 4 KiB) theirs's.",
  ]);
});

test('new connections are told with how they are made', () => {
  assert.match(renderFresh(duel(150, 200), cast), /closes in the ordinary way[\s\S]*\| 0\.75 \(0\.75\.\.0\.75\) \|/);
  assert.match(sentencesOnDuels({ fresh: duel(150, 200) }, cast)[0] ?? '', /ours answers 0\.75 times \(at 4 KiB\)/);
});

test('two processors are beside one, and a client that shares them is told of', () => {
  const two = duel(300, 400).map((each) => ({ ...each, peer: `${each.peer} with two` }));
  const cores = { one: duel(100, 200), two, shared: true };
  const text = renderCores(cores, cast);
  assert.equal(text.match(/^\| [12] \| 4 KiB \| (ours|theirs)/gm)?.length, 4);
  assert.match(text, /the client takes its time from them/);
  assert.doesNotMatch(renderCores({ ...cores, shared: false }, cast), /the client takes/);
  assert.match(
    sentencesOnDuels({ cores }, cast)[0] ?? '',
    /to theirs is 0\.75 \(0\.75\.\.0\.75\); with one, 0\.5 \(0\.5\.\.0\.5\): 1\.5 \(/,
  );
});

test('idle connections are told in KiB, with the native part in bytes', () => {
  const idle = {
    connections: 9000,
    samples: [
      { peer: 'ours', round: 1, resident: 15 * 1024, native: 300 },
      { peer: 'another', round: 1, resident: 14 * 1024, native: undefined },
    ],
  };
  const text = renderIdle(idle);
  assert.match(text, /^9,000 kept-alive connections/m);
  assert.match(text, /^\| ours \| 15 \(15\.\.15\) \| 300 \(300\.\.300\) \|$/m);
  assert.match(text, /^\| another \| 14 \(14\.\.14\) \| none \|$/m);
  assert.equal(sentenceOnIdle(idle), '**An idle connection** of 9,000 takes 15 KiB for ours and 14 KiB for another.');
});
