import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Asked, Job } from '../../loadtest/clients/job.ts';
import { type Ask, asksOf } from '../../loadtest/model/patterns.ts';
import { profiles } from '../../loadtest/model/profiles.ts';
import { randomFrom, scatter, zipf } from '../../loadtest/model/random.ts';
import { fieldsOf, headText, pathOf, wrongHead } from '../../loadtest/model/request.ts';
import { patterns, regionsOf } from '../../loadtest/model/scenario.ts';
import { scenarios } from '../../loadtest/model/scenarios.ts';

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

  test('cover every pattern in the quick profile too, and whatever users vary in the bench', () => {
    const of = (profile: string) => {
      const names = profiles.find(({ name }) => name === profile)?.scenarios;
      return scenarios.filter(({ name }) => names?.includes(name));
    };
    assert.deepEqual(new Set(of('quick').map(({ pattern }) => pattern)), new Set(patterns));
    assert.ok(of('quick').some(({ rate, writes }) => rate !== undefined || writes !== undefined));
    const bench = of('bench');
    const counts = new Set(bench.map((scenario) => regionsOf(scenario).count));
    for (const count of [1, 20, 1000, 10_000]) assert.ok(counts.has(count), `${count} regions`);
    for (const kept of [undefined, 1, 10, 'dropped', 'HTTP/1.0']) assert.ok(bench.some((each) => each.kept === kept));
    for (const pick of ['turn', 'uniform', 'zipf']) assert.ok(bench.some((each) => regionsOf(each).pick === pick));
    const keys = [
      'fields',
      'method',
      'conditional',
      'tokens',
      'log',
      'socket',
      'processors',
      'writes',
      'idle',
    ] as const;
    for (const key of keys)
      assert.ok(
        bench.some((scenario) => scenario[key] !== undefined),
        key,
      );
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

describe('regions', () => {
  const picked = (regions: Asked['regions'], count: number) => {
    const asks = asksOf({ pattern: 'random', size: 4096, ...(regions && { regions }) }, 2 ** 14, randomFrom(1));
    return Array.from({ length: count }, () => asks().region);
  };

  test('are one, or taken in turn, at random or by Zipf', () => {
    assert.deepEqual(new Set(picked(undefined, 20)), new Set([0]));
    const turn = picked({ count: 5, pick: 'turn' }, 10);
    assert.deepEqual(turn.slice(5), turn.slice(0, 5));
    assert.deepEqual([...turn.slice(0, 5)].sort(), [0, 1, 2, 3, 4]);
    assert.ok(new Set(picked({ count: 1000 }, 1000)).size > 500);
    const hot = Map.groupBy(picked({ count: 1000, pick: 'zipf' }, 5000), (region) => region);
    const sizes = [...hot.values()].map(({ length }) => length).sort((a, b) => b - a);
    assert.ok((sizes[0] ?? 0) > 300, `the hottest of 1,000 has ${sizes[0]} of 5,000`);
  });
});

describe('requests', () => {
  const ask = { region: 7, range: 'bytes=0-9', spans: [[0, 9]] } as const;
  const given = { path: '/r/region-*.bin', host: 'h:1', headers: {}, tokens: [], etags: [], regionBytes: 100 };
  const job = (scenario: Partial<Asked>, more: Partial<Job> = {}) =>
    ({ ...given, ...more, scenario: { pattern: 'random', size: 10, connections: 1, ...scenario } }) as unknown as Job;

  test('name their region by its number', () => assert.equal(pathOf(given, 7), '/r/region-00007.bin'));

  test('have no field but Host and Range, unless a scenario says so', () => {
    assert.equal(headText(job({}), ask, 5), 'GET /r/region-00007.bin HTTP/1.1\r\nhost: h:1\r\nrange: bytes=0-9\r\n');
    assert.match(headText(job({ kept: 'HTTP/1.0', method: 'HEAD' }), ask, 5), /^HEAD \S+ HTTP\/1\.0\r\n/);
    const ids = [1, 2].map((number) => fieldsOf(job({ fields: 'own' }), ask, number)['x-request-id']);
    assert.ok(ids[0]?.length === 32 && ids[0] !== ids[1]);
    const token = (number: number) => fieldsOf(job({}, { tokens: ['a', 'b'] }), ask, number).authorization;
    assert.deepEqual([token(0), token(1), token(2)], ['Bearer a', 'Bearer b', 'Bearer a']);
    const etags = Array.from({ length: 8 }, (_, at) => `"${at}"`);
    assert.equal(fieldsOf(job({}, { etags }), ask, 0)['if-none-match'], '"7"');
  });

  test('expect what their method and conditions say', () => {
    const whole = { region: 0, range: undefined, spans: [[0, 99]] } as const;
    const of = (status: number, fields: Record<string, string> = {}) => ({
      status,
      field: (name: string) => fields[name],
    });
    assert.equal(wrongHead(job({ conditional: true }), whole, of(304)), undefined);
    assert.equal(wrongHead(job({ conditional: true }), whole, of(200))?.kind, 'wrong-status');
    assert.equal(wrongHead(job({ method: 'HEAD' }), whole, of(200, { 'content-length': '100' })), undefined);
    assert.equal(wrongHead(job({ method: 'HEAD' }), whole, of(200))?.kind, 'wrong-header');
  });
});

describe('heads', () => {
  const job = { scenario: { pattern: 'random', size: 10, connections: 1 }, regionBytes: 100 } as unknown as Job;
  const ask = { region: 0, range: 'bytes=0-9', spans: [[0, 9]] } as const;
  const head = (status: number, fields: Record<string, string>) => ({ status, field: (name: string) => fields[name] });
  const good = { 'content-length': '10', 'content-range': 'bytes 0-9/100' };

  test('that are right pass', () => {
    assert.equal(wrongHead(job, ask, head(206, good)), undefined);
    const whole = { region: 0, range: undefined, spans: [[0, 99]] } as const;
    assert.equal(wrongHead(job, whole, head(200, { 'content-length': '100' })), undefined);
  });

  const wrong: [string, ReturnType<typeof head>, string][] = [
    ['status', head(200, good), 'wrong-status'],
    ['length', head(206, { ...good, 'content-length': '9' }), 'wrong-header'],
    ['range', head(206, { ...good, 'content-range': 'bytes 1-10/100' }), 'wrong-header'],
    ['size', head(206, { ...good, 'content-range': 'bytes 0-9/101' }), 'wrong-header'],
    ['lack of a range', head(206, { 'content-length': '10' }), 'wrong-header'],
  ];
  for (const [what, given, kind] of wrong) {
    test(`with another ${what} are faults`, () => assert.equal(wrongHead(job, ask, given)?.kind, kind));
  }
});
