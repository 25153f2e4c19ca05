/** Granted connections: each comes back once, and each answer is told of under the request that it repeats. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { mock, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type Answer, type Grant, type GrantedRequest, Grants, type Returned } from '../../src/relay/grants.ts';
import type { Shim, ShimRelay } from '../../src/relay/shim.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { makeRelay } from '../support/shim.ts';
import { makeSocketPair } from '../support/sockets.ts';

type Told = { readonly about: GrantedRequest; readonly answer: Answer };

/** A shim that grants what it is told to, and answers what a test has it answer. */
class FakeShim {
  result: number | undefined;
  readonly patterns = new Map<number, number>();
  answered: (number | string)[] = [];
  unreadBytes: Buffer | number = Buffer.alloc(0);

  #last = 0;

  grant(_relay: unknown, connection: number): number {
    if (this.result !== undefined) return this.result;
    this.patterns.set(connection, ++this.#last);
    return this.#last;
  }

  patternOf(connection: number): number {
    return this.patterns.get(connection) ?? assert.fail(`${connection} was never granted`);
  }

  unread(): Buffer | number {
    return this.unreadBytes;
  }

  answers(): readonly (number | string)[] {
    return this.answered.splice(0);
  }

  answer(connection: number, offset: number, length: number): void {
    const end = ['sendfile', 'complete', 0, 0.001, 0.5];
    this.answered.push(this.patternOf(connection), '127.0.0.1', offset, length, length, ...end);
  }
}

const grantFor = (url: string): Grant => ({
  about: { url, remoteAddress: '127.0.0.1', requestId: `req of ${url}` },
  generation: 1,
  epoch: 0,
  version: 0,
  engine: 'sendfile',
  large: 'sendfile',
  largeFrom: 0,
  copyBelow: 0,
  request: 'GET / HTTP/1.1\r\n\r\n',
  rangeAt: 18,
  head: 'HTTP/1.1 200 OK\r\n\r\n',
  seconds: 1,
  most: 10,
  open: false,
});

function make(logs = true) {
  const shim = new FakeShim();
  const told: Told[] = [];
  const onAnswer = logs ? (about: GrantedRequest, answer: Answer) => void told.push({ about, answer }) : undefined;
  return { shim, told, grants: new Grants(shim as unknown as Shim, {} as ShimRelay, onAnswer) };
}

test('a connection that can not be granted is not waited for', () => {
  const { shim, grants } = make();
  shim.result = -constants.errno.EBUSY;
  assert.equal(grants.grant(7, grantFor('/a')), undefined);
});

test('what a lane answered is told of before its connection counts as returned', async () => {
  const { shim, told, grants } = make();
  const returned = grants.grant(7, grantFor('/a'));
  shim.answer(7, 100, 50);
  let tellsFirst = false;
  const ended = returned?.then((how) => {
    tellsFirst = told.length === 1;
    return how;
  });
  grants.end(7, { whole: true, answers: 1 });
  assert.deepEqual(await ended, { whole: true, answers: 1 });
  assert.ok(tellsFirst);
  const answer = { offset: 100, length: 50, bytes: 50, engine: 'sendfile', outcome: 'complete', code: undefined };
  assert.deepEqual(told, [{ about: grantFor('/a').about, answer: { ...answer, took: 0.001, ago: 0.5 } }]);
});

test('an answer that was broken off says why', () => {
  const { shim, told, grants } = make();
  grants.grant(7, grantFor('/a'));
  const end = ['splice', 'stalled', -constants.errno.ETIMEDOUT, 30, 0];
  shim.answered.push(shim.patternOf(7), '127.0.0.1', 0, 100, 12, ...end);
  grants.take();
  assert.deepEqual(
    [told[0]?.answer.outcome, told[0]?.answer.code, told[0]?.answer.bytes],
    ['stalled', 'ETIMEDOUT', 12],
  );
});

test('answers on other connections, by whom they may be, are told of under the request that they repeat', () => {
  const { shim, told, grants } = make();
  grants.grant(7, { ...grantFor('/a'), open: true });
  grants.end(7, { whole: true, answers: 0 });
  shim.answered.push(shim.patternOf(7), '::ffff:192.0.2.1', 0, 100, 100, 'sendfile', 'complete', 0, 1, 0);
  grants.forget(shim.patternOf(7));
  assert.deepEqual(
    told.map(({ about }) => about),
    [{ ...grantFor('/a').about, remoteAddress: '::ffff:192.0.2.1' }],
  );
});

test('answers are taken ten times a second while a pattern is known, and not longer', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const { shim, told, grants } = make();
    grants.grant(7, grantFor('/a'));
    grants.grant(8, grantFor('/b'));
    shim.answer(8, 0, 1);
    mock.timers.tick(100);
    assert.equal(told.length, 1);
    grants.forget(shim.patternOf(7));
    shim.answer(8, 0, 1);
    mock.timers.tick(100);
    assert.equal(told.length, 2);
    grants.forget(shim.patternOf(8));
    shim.answer(8, 0, 1);
    mock.timers.tick(1000);
    assert.equal(told.length, 2);
    assert.equal(shim.answered.length > 0, true, 'nobody asks any more');
  } finally {
    mock.timers.reset();
  }
});

test('where nothing is logged, no answers are asked for', () => {
  const { shim, grants } = make(false);
  grants.grant(7, grantFor('/a'));
  shim.answer(7, 0, 1);
  grants.take();
  grants.end(7, { whole: true, answers: 1 });
  assert.equal(shim.answered.length, 10);
});

test('closing ends what is granted, as broken off', async () => {
  const { grants } = make();
  const returned = [grants.grant(7, grantFor('/a')), grants.grant(8, grantFor('/b'))];
  grants.close();
  for (const each of returned) assert.deepEqual(await each, { whole: false, answers: 0 });
});

test('what was read and not answered is Node’s, or an error with its code', () => {
  const { shim, grants } = make();
  shim.unreadBytes = Buffer.from('GET');
  assert.equal(grants.unread(7).toString(), 'GET');
  shim.unreadBytes = -constants.errno.ENOMEM;
  assert.throws(() => grants.unread(7), { code: 'ENOMEM' });
});

type Step = readonly ['grant' | 'answer' | 'end' | 'forget' | 'take', number];

test('in any order, each grant ends once, and each answer under its own request', async () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom('grant', 'answer', 'answer', 'end', 'forget', 'take'), fc.integer({ min: 1, max: 4 })),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { shim, told, grants } = make();
      const granted = new Map<number, string>();
      const ended = new Set<number>();
      const expected: string[] = [];
      const ends: Returned[] = [];
      let turn = 0;
      for (const [what, connection] of all as Step[]) {
        turn++;
        if (what === 'grant' && !granted.has(connection)) {
          granted.set(connection, `/${turn}`);
          void grants.grant(connection, grantFor(`/${turn}`))?.then((returned) => ends.push(returned));
        } else if (what === 'answer' && granted.has(connection)) {
          shim.answer(connection, turn, 1);
          expected.push(`${granted.get(connection)} ${turn}`);
        } else if (what === 'end' && granted.has(connection)) {
          grants.end(connection, { whole: true, answers: 0 });
          ended.add(connection);
        } else if (what === 'forget' && ended.has(connection)) {
          if (granted.has(connection)) grants.forget(shim.patternOf(connection));
          granted.delete(connection);
          ended.delete(connection);
        } else if (what === 'take') grants.take();
      }
      const left = [...granted.keys()].filter((connection) => !ended.has(connection)).length;
      grants.close();
      await Promise.resolve();
      assert.deepEqual(
        told.map(({ about, answer }) => `${about.url} ${answer.offset}`),
        expected,
      );
      assert.equal(ends.filter(({ whole }) => !whole).length, left);
    }),
    { numRuns: 500 },
  );
});

/** Arguments of the real shim's `grant`, with one property replaced. */
const wrong: readonly (readonly [key: string, value: unknown])[] = [
  ...['generation', 'epoch', 'version', 'copyBelow', 'most', 'rangeAt'].flatMap((key) =>
    [undefined, null, -1, 0.5, 'x', Number.NaN, 2 ** 54].map((value) => [key, value] as const),
  ),
  ['rangeAt', 19],
  ['most', 2 ** 32],
  ...['request', 'head'].flatMap((key) =>
    [undefined, 7, Buffer.from('x'), 'x'.repeat(40_000)].map((v) => [key, v] as const),
  ),
  ['engine', 'fast'],
  ['seconds', -1],
  ['seconds', 'x'],
  ...[undefined, 0, 'true'].map((value) => ['open', value] as const),
];

async function adopted(t: TestContext) {
  const { shim, relay } = makeRelay(t);
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file', 10_000);
  const generation = shim.openGeneration(relay, 0, file.path, Number.MAX_SAFE_INTEGER);
  const { fd } = await makeSocketPair(t);
  const connection = shim.adopt(relay, fd, false, -1);
  assert.ok(typeof generation === 'object' && typeof connection === 'object');
  const { about, ...grant } = { ...grantFor('/a'), generation: generation.id };
  assert.ok(about);
  return { shim, relay, id: connection.id, grant };
}

test('the shim refuses what is no grant by a TypeError', async (t) => {
  const { shim, relay, id, grant } = await adopted(t);
  for (const [key, value] of wrong) {
    const call = () => shim.grant(relay, id, { ...grant, [key]: value } as typeof grant);
    assert.throws(call, TypeError, `${key}: ${String(value).slice(0, 20)}`);
  }
  for (const value of [undefined, null, 7, 'x', []]) {
    assert.throws(() => shim.grant(relay, id, value as unknown as typeof grant), TypeError);
  }
  assert.equal(shim.counters(relay).grants, 0);
});

test('the shim refuses what can not be granted by an errno', async (t) => {
  const { shim, relay, id, grant } = await adopted(t);
  const { EBADF, EBUSY, EINVAL, ESTALE } = constants.errno;
  assert.equal(shim.grant(relay, id + 1000, grant), -EBADF);
  assert.equal(shim.grant(relay, id, { ...grant, generation: grant.generation + 1000 }), -ESTALE);
  assert.equal(shim.grant(relay, id, { ...grant, engine: 'zerocopy' }), -EINVAL);
  assert.equal(shim.grant(relay, id, { ...grant, engine: 'stream' }), -EINVAL);
  assert.equal(shim.grant(relay, id, { ...grant, request: '', rangeAt: 0 }), -EINVAL);
  assert.ok(shim.grant(relay, id, grant) > 0);
  assert.equal(shim.grant(relay, id, grant), -EBUSY, 'its lane has it already');
  assert.equal(shim.counters(relay).granted, 1);
});

test('a getter of a grant that closes the relay does no harm', async (t) => {
  const { shim, relay, id, grant } = await adopted(t);
  const closing = Object.defineProperty({ ...grant }, 'most', {
    get() {
      shim.closeRelay(relay);
      return 10;
    },
  });
  assert.throws(() => shim.grant(relay, id, closing), /closed/);
});
