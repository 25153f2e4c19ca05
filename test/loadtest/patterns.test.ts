import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { wrongHead } from '../../loadtest/clients/head.ts';
import { type Ask, asksOf } from '../../loadtest/scenarios/patterns.ts';
import { randomFrom, scatter, zipf } from '../../loadtest/scenarios/random.ts';
import { patterns } from '../../loadtest/scenarios/scenario.ts';
import { profiles, scenarios } from '../../loadtest/scenarios/scenarios.ts';

const regionBytes = 2 ** 22;

function asked(pattern: (typeof patterns)[number], count: number, size = 65_536, seed = 1): Ask[] {
  const asks = asksOf({ pattern, size, bytesPerSecond: 1000 }, regionBytes, randomFrom(seed));
  return Array.from({ length: count }, () => asks({ bytes: 1000, etag: '"a"' }));
}

describe('scenarios', () => {
  test('have names of their own, and profiles name only these', () => {
    const names = scenarios.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const profile of profiles) for (const name of profile.scenarios) assert.ok(names.includes(name), name);
  });

  test('cover every pattern, both kinds of rate, both kinds of connection and a writer, in the quick profile too', () => {
    const quick = scenarios.filter(({ name }) => profiles[0]?.scenarios.includes(name));
    for (const set of [scenarios, quick]) {
      assert.deepEqual(new Set(set.map(({ pattern }) => pattern)), new Set(patterns));
      assert.ok(set.some(({ rate }) => rate !== undefined) && set.some(({ rate }) => rate === undefined));
      assert.ok(set.some(({ keepAlive }) => !keepAlive) && set.some(({ writes }) => writes !== undefined));
    }
  });
});

describe('patterns', () => {
  for (const pattern of patterns) {
    test(`${pattern}: ranges lie inside the region, also in a small one, and the seed decides them`, () => {
      for (const ask of asked(pattern, 200)) {
        assert.ok(ask.spans.length > 0);
        for (const [first, last] of ask.spans) assert.ok(first >= 0 && first <= last && last < regionBytes, ask.range);
      }
      assert.deepEqual(asked(pattern, 20), asked(pattern, 20));
      const small = asksOf({ pattern, size: 65_536, bytesPerSecond: 1 }, 5000, randomFrom(1));
      for (let turn = 0; turn < 20; turn++) {
        for (const [first, last] of small().spans) assert.ok(first >= 0 && first <= last && last < 5000);
      }
    });
  }

  test('sequential: each range begins where the one before it ends', () => {
    const [first, second] = asked('sequential', 2).map(({ spans }) => spans[0]);
    assert.ok(first && second);
    assert.equal(second[0] % regionBytes, (first[1] + 1) % regionBytes);
  });

  test('zipf: the hottest tenth is asked for most of the time, and hot ranges are apart', () => {
    const counts = Map.groupBy(asked('zipf', 5000, 4096), ({ range }) => range ?? '');
    const sorted = [...counts.values()].map(({ length }) => length).sort((a, b) => b - a);
    const hottest = sorted.slice(0, Math.ceil(regionBytes / 4096 / 10)).reduce((sum, count) => sum + count, 0);
    assert.ok(hottest > 2500, `${hottest} of 5000`);
  });

  test('zipf: ranks stay in their bounds, and scattering loses none', () => {
    const rank = zipf(randomFrom(3), 10);
    for (let turn = 0; turn < 1000; turn++) {
      const value = rank();
      assert.ok(value >= 0 && value < 10);
    }
    for (const count of [1, 2, 7, 64, 1000]) {
      assert.equal(new Set(Array.from({ length: count }, (_, at) => scatter(at, count))).size, count);
    }
  });

  test('parquet: the footer comes first, by a suffix range, then column chunks', () => {
    const [length, footer, ...chunks] = asked('parquet', 6);
    assert.equal(length?.range, 'bytes=-8');
    assert.deepEqual(length?.spans, [[regionBytes - 8, regionBytes - 1]]);
    assert.equal(footer?.spans[0]?.[1], regionBytes - 1);
    assert.equal(chunks.length, 4);
  });

  test('resume: what breaks off goes on where it did, if it is still the same', () => {
    const [broken, rest] = asked('resume', 2);
    assert.ok(broken?.abortAfter !== undefined && broken.abortAfter > 0);
    assert.equal(rest?.ifRange, '"a"');
    assert.equal(rest?.spans[0]?.[0], (broken.spans[0]?.[0] ?? 0) + 1000);
    assert.equal(rest?.spans[0]?.[1], broken.spans[0]?.[1]);
  });

  test('multi-range: four ranges that do not touch, ascending', () => {
    const [ask] = asked('multi-range', 1, 8192);
    assert.equal(ask?.spans.length, 4);
    ask.spans.reduce((before, span) => {
      assert.ok(span[0] > before[1] + 1);
      return span;
    });
  });
});

describe('heads', () => {
  const ask = { range: 'bytes=0-9', spans: [[0, 9]] } as const;
  const head = (status: number, fields: Record<string, string>) => ({ status, field: (name: string) => fields[name] });
  const good = { 'content-length': '10', 'content-range': 'bytes 0-9/100' };

  test('that are right pass', () => {
    assert.equal(wrongHead(ask, 100, head(206, good)), undefined);
    const whole = { range: undefined, spans: [[0, 99]] } as const;
    assert.equal(wrongHead(whole, 100, head(200, { 'content-length': '100' })), undefined);
  });

  const wrong: [string, ReturnType<typeof head>, string][] = [
    ['status', head(200, good), 'wrong-status'],
    ['length', head(206, { ...good, 'content-length': '9' }), 'wrong-header'],
    ['range', head(206, { ...good, 'content-range': 'bytes 1-10/100' }), 'wrong-header'],
    ['size', head(206, { ...good, 'content-range': 'bytes 0-9/101' }), 'wrong-header'],
    ['lack of a range', head(206, { 'content-length': '10' }), 'wrong-header'],
  ];
  for (const [what, given, kind] of wrong) {
    test(`with another ${what} are faults`, () => assert.equal(wrongHead(ask, 100, given)?.kind, kind));
  }
});
