import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duelRatios, goalsOf, isMet } from '../../loadtest/report/goals.ts';
import { renderGoals, sentenceOnGoals } from '../../loadtest/report/goals-section.ts';
import { sample } from './samples.ts';

const cast = { baseline: 'ours', rival: 'theirs', floor: 'the floor', copyBelow: 'ours that copies' };

/** Three rounds of each peer, so many requests in each. */
function rounds(requests: Readonly<Record<string, number>>, size = 4096, cpuSeconds = 1) {
  return [1, 2, 3].flatMap((round) =>
    Object.entries(requests).map(([peer, count]) => sample({ peer, round, size, requests: count, cpuSeconds })),
  );
}

function find(goals: ReturnType<typeof goalsOf>, what: RegExp) {
  const [goal, ...others] = goals.filter((each) => what.test(each.what));
  assert.ok(goal && others.length === 0, `${what}`);
  return goal;
}

test('a goal is met when the median reaches it, whatever single rounds do', () => {
  const goal = { what: 'x', atLeast: 1.2, measured: { median: 1.2, min: 0.1, max: 9 } };
  assert.equal(isMet(goal), true);
  assert.equal(isMet({ ...goal, measured: { median: 1.19, min: 1.1, max: 9 } }), false);
  assert.equal(isMet({ what: 'x', atMost: 1, measured: { median: 1.01, min: 0, max: 2 } }), false);
  assert.equal(isMet({ what: 'x', atMost: 1, measured: undefined }), undefined);
  assert.equal(isMet({ what: 'x', atMost: 1, measured: { median: Number.NaN, min: 0, max: 0 } }), undefined);
});

test('rate and CPU are ours over the rival’s', () => {
  const goals = goalsOf({ servers: rounds({ ours: 120, theirs: 100 }) }, cast);
  const rate = find(goals, /^4 KiB: requests/);
  const cpu = find(goals, /^4 KiB: server CPU/);
  assert.equal(rate.measured?.median, 1.2);
  assert.equal(isMet(rate), true);
  assert.ok(Math.abs((cpu.measured?.median ?? 0) - 1 / 1.2) < 1e-9);
  assert.equal(isMet(cpu), true);
  assert.equal(isMet(find(goals, /^64 KiB: requests/)), undefined);
});

test('small ranges that are copied have goals of their own, against the rival as well', () => {
  const goals = goalsOf({ servers: rounds({ ours: 100, theirs: 100, 'ours that copies': 125 }) }, cast);
  const goal = find(goals, /^4 KiB, ours that copies: requests/);
  assert.deepEqual([goal.measured?.median, isMet(goal)], [1.25, false]);
});

test('CPU a GB is beside the floor', () => {
  const goals = goalsOf({ servers: rounds({ ours: 100, 'the floor': 130 }, 2 ** 24) }, cast);
  const goal = find(goals, /over the the floor|over the floor/);
  assert.deepEqual([goal.measured?.median, isMet(goal)], [1.3, false]);
});

test('tails are compared at the fixed rate', () => {
  const rate = [1, 2, 3].flatMap((round) => [
    sample({ peer: 'ours', round, p99: 90 }),
    sample({ peer: 'theirs', round, p99: 100 }),
  ]);
  const goal = find(goalsOf({ rate }, cast), /^4 KiB: p99/);
  assert.deepEqual([goal.measured?.median, isMet(goal)], [0.9, true]);
});

test('two processors must not make the ratio worse', () => {
  const one = rounds({ ours: 120, theirs: 100 }, 65536);
  const two = rounds({ 'ours with two': 150, 'theirs with two': 150 }, 65536);
  assert.deepEqual(duelRatios(two), [1, 1, 1]);
  const goals = goalsOf({ cores: { one, two, shared: true } }, cast);
  const rate = find(goals, /two server processors: the ratio of requests/);
  assert.equal(isMet(rate), false);
  assert.ok(Math.abs((rate.measured?.median ?? 0) - 1 / 1.2) < 1e-9);
  const cpu = find(goals, /two server processors: the ratio of CPU/);
  assert.equal(isMet(cpu), false);
  assert.ok(Math.abs((cpu.measured?.median ?? 0) - 1.2) < 1e-9);
});

test('idle connections are compared round by round', () => {
  const idle = [1, 2].flatMap((round) => [
    { peer: 'ours', round, resident: 15 * 1024 + round * 1024, native: 300 },
    { peer: 'another', round, resident: 14 * 1024 + round * 1024, native: undefined },
  ]);
  const goals = goalsOf({ idle: { connections: 10, samples: idle } }, cast);
  assert.deepEqual(find(goals, /beyond bare/).measured, { median: 1, min: 1, max: 1 });
  assert.deepEqual([find(goals, /native/).measured?.median, isMet(find(goals, /native/))], [300, true]);
});

test('the table says of each goal whether it is met, and the sentence counts', () => {
  const goals = goalsOf({ servers: rounds({ ours: 120, theirs: 100 }) }, cast);
  const text = renderGoals(goals);
  assert.match(text, /^\| 4 KiB: requests\/s over theirs \| ≥ 1\.15 \| 1\.2 \(1\.2\.\.1\.2\) \| yes \|$/m);
  assert.match(text, /^\| 64 KiB: requests\/s over theirs \| ≥ 1\.25 \| not measured \| – \|$/m);
  assert.match(text, /^\| idle connection: memory beyond bare node:http \| ≤ 2 KiB \| not measured \| – \|$/m);
  assert.match(
    sentenceOnGoals(goals) ?? '',
    new RegExp(`^\\*\\*2 of 2 goals\\*\\* are met, and ${goals.length - 2} were not`),
  );
  assert.equal(sentenceOnGoals(goalsOf({}, cast)), undefined);
  assert.match(renderGoals(goalsOf({ servers: rounds({ ours: 1, theirs: 2 }) }, cast)), /\*\*no\*\*/);
});
