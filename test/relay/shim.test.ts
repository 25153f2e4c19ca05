/** Whatever JavaScript passes to the shim, the answer is a TypeError or a negated errno, never a crash. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { Looks } from '../../src/relay/looks.ts';
import type { Generation } from '../../src/relay/relay.ts';
import type { Shim, ShimRelay } from '../../src/relay/shim.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { makeRelay, shimOrFail } from '../support/shim.ts';
import { makeSocketPair } from '../support/sockets.ts';

const noLimit = Number.MAX_SAFE_INTEGER;
const { EBADF, EBUSY, EINVAL, ENOENT, ENOTDIR, ERANGE, ESTALE, EXDEV } = constants.errno;

/** Nothing that TypeScript would let through. */
type Untyped = (...values: readonly unknown[]) => unknown;

function untyped(shim: Shim, name: string): Untyped {
  return (shim as unknown as Record<string, Untyped>)[name] as Untyped;
}

const wrongValues: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  -1,
  0.5,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  1e300,
  'x',
  '',
  'a\0b',
  'y'.repeat(70_000),
  true,
  1n,
  Symbol('s'),
  {},
  [],
  [1],
  [Number.NaN, 1],
  [0, -1],
  ['0', '1'],
  [0, 1n],
  Array.from({ length: 130 }, () => 1),
  () => {},
  Object.create(null),
  new Proxy({}, {}),
  new Proxy([], {}),
];

type Call = readonly [name: string, ...right: unknown[]];

/** Every call with a relay, each with arguments that would be right, but for the relay itself. */
async function callsOf(t: TestContext, shim: Shim, relay: unknown): Promise<readonly Call[]> {
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'file', 10_000);
  const { id } = untyped(shim, 'open')(relay, 0, path, 'generation', noLimit) as Generation;
  const hold = untyped(shim, 'hold')(relay, id, 0, 0, 'sendfile', 0, [0, 100]);
  const { fd } = await makeSocketPair(t);
  const connection = (untyped(shim, 'adopt')(relay, fd, false, -1) as { id: number }).id;
  const ofNothing = [
    ...['breakOff', 'closeConnection', 'closeGeneration', 'retireGeneration', 'changeToStream', 'touchLease'],
    ...['endPlace', 'closeTree', 'treeDescriptor', 'closeDoor', 'openDoor', 'resume'],
  ].map((name): Call => ['act', name, 2 ** 52]);
  return [
    ['open', 0, path, 'tree'],
    ['open', 1, path, 'folder'],
    ['open', 1, path, 'file'],
    ['statGeneration', 0, path, 0],
    ['statGeneration', 0, path, id],
    ['lookAtNames', 1, 'folder', 'file', new Float64Array(7)],
    ['open', 0, path, 'generation', noLimit],
    ['hold', id, 0, 0, 'copy', 0, [0, 100]],
    ['readMapped', id, new Uint8Array(10), 0],
    ['references', id],
    ['adopt', fd, false, -1],
    ['send', connection, 1],
    ['release', 2 ** 52, 'complete'],
    ['setVersion', id, 0, 0],
    ['act', 'setCopying', id, 0],
    ['lockTree', 1, path, 0, 'shared'],
    ['takeConnection', 2 ** 52],
    ['lease', 2 ** 52, 0, 100, 'done', false],
    ['act', 'endLease', 2 ** 52, 0],
    ['place', 2 ** 52, [0, 100]],
    ['act', 'press', 1],
    ['tell', 'host', 'a.example'],
    ['tell', 'reader', 'Bearer a'],
    ['tell', 'changed', '/a'],
    ['counters'],
    ['act', 'finish', connection],
    ['act', 'generationDescriptor', id],
    ['act', 'isSettled', id, 0, 0],
    ['act', 'advance', hold, 0],
    ['act', 'beginLease', 2 ** 52, 1],
    ...ofNothing,
    ...['withdraw', 'suspend', 'isIdle', 'forgetAllowed', 'handOverAll', 'nudge'].map((name): Call => ['act', name]),
  ];
}

function outcomeOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    assert.ok(error instanceof TypeError, String(error));
    return error;
  }
}

function isRefusal(outcome: unknown): boolean {
  return outcome instanceof TypeError || (typeof outcome === 'number' && outcome < 0);
}

// What a wrong value of this list can be right for.
function mayBeRight(name: string, at: number, value: unknown): boolean {
  if (name === 'adopt' && at === 2) return typeof value === 'boolean';
  if (name === 'adopt' && at === 3) return typeof value === 'number';
  if (name === 'tell' && at === 2) return typeof value === 'string';
  return name === 'hold' && at === 6 && Array.isArray(value) && value.length === 2;
}

/** 1, 0 or the negated errno of a send without a head. */
function sendOf(shim: Shim, relay: ShimRelay, connection: number, transmission: number): number {
  const result = shim.send(relay, connection, transmission, '');
  return typeof result === 'number' ? result : result.errno;
}

test('wrong arguments are refused', async (t) => {
  const { shim, relay } = makeRelay(t);
  for (const [name, ...right] of await callsOf(t, shim, relay)) {
    for (let at = 0; at <= right.length; at++) {
      for (const value of wrongValues) {
        if (mayBeRight(name, at, value)) continue;
        const args: unknown[] = [relay, ...right];
        args[at] = value;
        const outcome = outcomeOf(() => untyped(shim, name)(...args));
        assert.ok(
          isRefusal(outcome),
          `${name}, argument ${at}: ${inspect(value).slice(0, 40)} gave ${inspect(outcome)}`,
        );
      }
    }
  }
});

test('missing arguments are refused', async (t) => {
  const { shim, relay } = makeRelay(t);
  for (const [name, ...right] of await callsOf(t, shim, relay)) {
    for (let count = 0; count <= right.length; count++) {
      const args = [relay, ...right].slice(0, count);
      const outcome = outcomeOf(() => untyped(shim, name)(...args));
      assert.ok(outcome instanceof TypeError, `${name} with ${count} arguments gave ${String(outcome)}`);
    }
  }
  assert.throws(() => untyped(shim, 'closeRelay')(), TypeError);
  for (const name of ['createRelay', 'createMemfd', 'openLog', 'writeLog'])
    assert.throws(() => untyped(shim, name)(), TypeError);
});

test('a closed relay refuses every call', async (t) => {
  const { shim, relay } = makeRelay(t);
  const calls = await callsOf(t, shim, relay);
  shim.closeRelay(relay);
  shim.closeRelay(relay);
  for (const [name, ...right] of calls) {
    assert.throws(() => untyped(shim, name)(relay, ...right), { name: 'TypeError', code: 'ERR_CLOSED' }, name);
  }
});

test('only a relay is taken for one', (t) => {
  const { shim, relay } = makeRelay(t);
  const fakes = [
    {},
    Object.create(relay as object),
    new Proxy(relay, {}),
    { ...relay },
    shim,
    structuredClone({}),
    7,
    null,
  ];
  for (const fake of fakes) assert.throws(() => untyped(shim, 'counters')(fake), TypeError);
});

test('a log takes bytes for a descriptor, and nothing else', async (t) => {
  const { shim, relay } = makeRelay(t);
  const path = join(makeFolder(t, 'tmpfs'), 'log');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  const { promise, resolve } = Promise.withResolvers<readonly [number, number]>();
  const log = shim.openLog(fd, (bytes, errno) => resolve([bytes, errno]));
  for (const wrong of wrongValues.filter((value) => typeof value !== 'function')) {
    assert.throws(() => untyped(shim, 'openLog')(fd, wrong), TypeError);
    assert.throws(() => untyped(shim, 'openLog')(wrong, () => {}), TypeError, inspect(wrong));
    assert.throws(() => untyped(shim, 'writeLog')(wrong, new Uint8Array(1)), TypeError);
    assert.throws(() => untyped(shim, 'writeLog')(log, wrong), TypeError);
  }
  for (const call of [
    () => untyped(shim, 'writeLog')(relay, new Uint8Array(1)),
    () => untyped(shim, 'openLog')(fd, relay),
  ])
    assert.throws(call, TypeError, 'a relay is no log');
  assert.equal(untyped(shim, 'writeLog')(log, Buffer.from('line')), 0);
  assert.deepEqual([await promise, readFileSync(path, 'utf8')], [[4, 0], 'line']);
});

test('options that make no sense make no relay', () => {
  const shim = shimOrFail();
  const right = { lanes: 1, maxHoldSeconds: 1, maxBrokenOff: 1 };
  const create = (options: unknown, onEvents: unknown = () => {}) => untyped(shim, 'createRelay')(options, onEvents);
  const wrong: unknown[] = [
    ...wrongValues.filter((value) => !Array.isArray(value)),
    ...[-1, 0.5, 257, Number.NaN, '1', null].map((lanes) => ({ ...right, lanes })),
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1'].map((maxHoldSeconds) => ({ ...right, maxHoldSeconds })),
    ...[-1, 0.5, 2 ** 21, '1'].map((maxBrokenOff) => ({ ...right, maxBrokenOff })),
  ];
  for (const options of wrong) assert.throws(() => create(options), TypeError, inspect(options));
  for (const listener of [undefined, null, {}, 'f'])
    assert.throws(() => untyped(shim, 'createRelay')(right, listener), TypeError);
  const trap = {
    get lanes(): number {
      throw new RangeError('not today');
    },
  };
  assert.throws(() => create({ ...right, __proto__: null, lanes: undefined }), TypeError);
  assert.throws(() => create(trap), RangeError);
});

test('ids of another kind, of another relay, and of what is gone name nothing', async (t) => {
  const { shim, relay } = makeRelay(t);
  const other = makeRelay(t).relay;
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'file', 10_000);
  const { id: generation } = shim.open(relay, 0, path, 'generation', noLimit) as Generation;
  const { fd } = await makeSocketPair(t);
  const { id: connection } = shim.adopt(relay, fd, false, -1) as { id: number };
  const hold = shim.hold(relay, generation, 0, 0, 'sendfile', 0, [0, 100]);
  const tree = shim.open(relay, 0, '/dev/shm', 'tree');
  assert.ok(hold > 0 && tree > 0);

  for (const id of [0, 1, connection, hold, tree, generation + 2 ** 22]) {
    assert.equal(shim.hold(relay, id, 0, 0, 'copy', 0, [0, 1]), -EBADF);
    assert.equal(shim.act(relay, 'closeGeneration', id), -EBADF);
    assert.equal(shim.act(relay, 'generationDescriptor', id), -EBADF);
  }
  for (const id of [0, 1, connection, generation, tree, hold + 2 ** 22]) {
    assert.equal(shim.act(relay, 'advance', id, 0), -EBADF);
    assert.equal(shim.release(relay, id, 'complete'), -EBADF);
    assert.equal(sendOf(shim, relay, connection, id), -EBADF);
  }
  for (const id of [0, 1, generation, hold, tree]) {
    assert.equal(sendOf(shim, relay, id, hold), -EBADF);
    for (const act of ['finish', 'breakOff', 'closeConnection'] as const)
      assert.equal(shim.act(relay, act, id), -EBADF);
  }
  for (const id of [generation, hold, connection]) assert.equal(shim.statGeneration(relay, id, 'file', 0), -EBADF);

  assert.equal(shim.hold(other, generation, 0, 0, 'copy', 0, [0, 1]), -EBADF);
  assert.equal(sendOf(shim, other, connection, hold), -EBADF);
  assert.equal(shim.release(other, hold, 'complete'), -EBADF);

  assert.equal(shim.release(relay, hold, 'cancelled'), 0);
  assert.equal(shim.release(relay, hold, 'cancelled'), -EBADF);
  assert.equal(shim.act(relay, 'closeGeneration', generation), 0);
  assert.equal(shim.act(relay, 'closeGeneration', generation), -EBADF);
});

test('names of one folder are looked at in one go: files as they are one by one, of anything else why not', (t) => {
  const { shim, relay } = makeRelay(t);
  const outer = makeFolder(t, 'tmpfs');
  const root = join(outer, 'tree');
  mkdirSync(join(root, 'folder/inner'), { recursive: true });
  for (const name of ['a', 'b']) writeRegion(join(root, 'folder'), name, 1000);
  symlinkSync('a', join(root, 'folder/link'));
  symlinkSync('..', join(root, 'out'));
  const tree = shim.open(relay, 0, root, 'tree');
  const looks = new Looks();
  const look = (folder: string, names: readonly string[]) =>
    shim.lookAtNames(relay, tree, folder, names.join('/'), looks.numbers);
  assert.equal(look('folder', ['a', 'link', 'none', 'inner', '..', '.', '', 'b']), 8);
  const file = (name: string) => shim.statGeneration(relay, tree, `folder/${name}`, 0);
  const { ELOOP } = constants.errno;
  assert.deepEqual(looks.take(8), [file('a'), -ELOOP, -ENOENT, -EINVAL, -EINVAL, -EINVAL, -EINVAL, file('b')]);
  assert.equal(look('', ['folder']), 1);
  assert.deepEqual(looks.take(1), [-EINVAL]);

  assert.equal(look('none', ['a']), -ENOENT);
  assert.equal(look('folder/a', ['a']), -ENOTDIR);
  assert.equal(look('out', ['a']), -EXDEV);
  assert.equal(shim.lookAtNames(relay, tree, 'folder', 'a/b', new Float64Array(7 + 6)), 1, 'there is room for one');
});

test('expected failures are negated errnos', async (t) => {
  const { shim, relay } = makeRelay(t);
  const folder = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(folder, 'file', 10_000);
  assert.equal(shim.open(relay, 0, `${folder}/none`, 'generation', noLimit), -ENOENT);
  assert.equal(shim.statGeneration(relay, 0, `${folder}/none`, 0), -ENOENT);
  assert.equal(shim.open(relay, 0, `${folder}/none`, 'tree'), -ENOENT);
  assert.equal(shim.open(relay, 0, folder, 'generation', noLimit), -EINVAL);

  const { id } = shim.open(relay, 0, path, 'generation', noLimit) as Generation;
  assert.equal(shim.hold(relay, id, 1, 0, 'copy', 0, [0, 1]), -ESTALE);
  assert.equal(shim.hold(relay, id, 0, 1, 'copy', 0, [0, 1]), -ESTALE);
  for (const extents of [[], [0, 0], [0, 10_001], [10_000, 1], [9999, 2], [2 ** 52, 2 ** 52], [0, 1, 5, 0]]) {
    assert.equal(shim.hold(relay, id, 0, 0, 'copy', 0, extents), -ERANGE, String(extents));
  }
  const most = Array.from({ length: 128 }, () => 1);
  assert.ok(shim.hold(relay, id, 0, 0, 'copy', 0, most) > 0);

  const streamed = shim.hold(relay, id, 0, 0, 'stream', 0, [0, 100]);
  const { fd } = await makeSocketPair(t);
  const { id: connection } = shim.adopt(relay, fd, false, -1) as { id: number };
  assert.equal(sendOf(shim, relay, connection, streamed), -EINVAL);
  assert.equal(shim.act(relay, 'advance', streamed, 101), -ERANGE);

  const unread = shim.hold(relay, id, 0, 0, 'sendfile', 0, [0, 10_000]);
  assert.equal(sendOf(shim, relay, connection, unread), 1);
  assert.equal(sendOf(shim, relay, connection, unread), -EBADF, 'it is sent already');
  assert.equal(shim.release(relay, unread, 'cancelled'), -EBADF, 'a connection carries it');
  assert.equal(shim.act(relay, 'closeConnection', connection), 0);
  assert.equal(sendOf(shim, relay, connection, streamed), -EINVAL);
  const again = shim.hold(relay, id, 0, 0, 'sendfile', 0, [0, 10_000]);
  assert.equal(sendOf(shim, relay, connection, again), -EBUSY, 'Node has closed it');
});

test('a reference is had of a file that is where it was opened, and of no other', (t) => {
  const { shim, relay } = makeRelay(t);
  const folder = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(folder, 'file', 10_000);
  const tree = shim.open(relay, 0, folder, 'tree');
  const opened = [
    shim.open(relay, 0, path, 'generation', noLimit),
    shim.open(relay, tree, 'file', 'generation', noLimit),
  ];
  const ids = opened.map((each) => (each as Generation).id);
  const hold = (inPlace: unknown) =>
    ids.map((id) => untyped(shim, 'hold')(relay, id, 0, 0, 'copy', 0, [0, 1], inPlace));
  for (const held of [...hold(true), ...hold(false)]) assert.ok(Number(held) > 0);
  for (const wrong of [undefined, 1, null, {}, 'true']) assert.throws(() => hold(wrong), TypeError);
  renameSync(writeRegion(folder, 'other', 10_000).path, path);
  assert.deepEqual(hold(true), [-ESTALE, -ESTALE], 'it was replaced');
  rmSync(path);
  assert.deepEqual(hold(true), [-ENOENT, -ENOENT]);
  renameSync(folder, `${folder}-moved`);
  t.after(() => rmSync(`${folder}-moved`, { recursive: true }));
  assert.deepEqual(hold(true), [-ENOENT, -ENOENT]);
  shim.act(relay, 'closeTree', tree);
  assert.deepEqual(hold(true), [-ENOENT, -EBADF]);
  for (const id of ids) shim.act(relay, 'closeGeneration', id);
  assert.deepEqual(hold(true), [-ESTALE, -ESTALE]);
});

test('what is no connection is not adopted', async (t) => {
  const { shim, relay } = makeRelay(t);
  const before = countOpen();
  const file = openSync('/dev/null', 'r');
  for (const fd of [file, 123_456]) assert.ok(Number(shim.adopt(relay, fd, false, -1)) < 0);
  closeSync(file);
  await untilClosed(before);
});

test('a node that is no whole number is refused', async (t) => {
  const { shim, relay } = makeRelay(t);
  const { fd } = await makeSocketPair(t);
  for (const node of [Number.NaN, Number.POSITIVE_INFINITY, 1e300, -1e300, 0.5]) {
    const outcome = outcomeOf(() => shim.adopt(relay, fd, false, node));
    assert.ok(isRefusal(outcome), `${node} gave ${JSON.stringify(outcome)}`);
  }
});

test('a relay that goes while its arguments are read is not used', (t) => {
  const program = fileURLToPath(new URL('../support/closes-while-reading.ts', import.meta.url));
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'file', 10_000);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, path], { encoding: 'utf8' });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  assert.match(stdout, /refused/);
});

test('an overwrite that is not whole, or not inside its file, is a TypeError', async (t) => {
  const shim = shimOrFail();
  const folder = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(folder, 'file', 10_000, 1);
  const to = openSync(path, 'r+');
  const place = {
    to,
    offset: 5000,
    length: 100,
    pageSize: 4096,
    fileSize: 10_000,
    means: 'punch',
    unsynced: false,
  } as const;
  const right = { ...place, from: new Uint8Array(100), note: `${folder}/note`, heading: 'x\n' };
  const overwrite = untyped(shim, 'fileOverwrite');
  for (const key of Object.keys(right)) {
    for (const value of wrongValues.filter((value) => typeof value !== typeof right[key as keyof typeof right])) {
      const outcome = outcomeOf(() => overwrite([right, { ...right, [key]: value }]));
      assert.ok(isRefusal(outcome), `${key}: ${inspect(value)} gave ${inspect(outcome)}`);
    }
  }
  const outside = [
    { offset: 9950 },
    { length: 2 ** 53 - 1, from: 0 },
    { fileSize: 10 },
    { pageSize: 0 },
    { means: 'other' },
  ];
  // Direct writes are of whole pages, and of whole pages that are a multiple of what devices want.
  const odd = [
    { means: 'direct', offset: 9000 },
    { means: 'direct', pageSize: 1000 },
  ];
  const wrong = [
    ...outside,
    ...odd,
    { from: new Uint8Array(99) },
    { note: 'y'.repeat(5000) },
    { heading: 'y'.repeat(8192) },
  ];
  for (const each of wrong) assert.ok(isRefusal(outcomeOf(() => overwrite([{ ...right, ...each }]))), inspect(each));
  for (const list of [right, [], Array(129).fill(right), undefined])
    assert.ok(isRefusal(outcomeOf(() => overwrite(list))));
  assert.deepEqual(await shim.fileOverwrite([right]), [{ errno: 0, undone: false }]);
  assert.deepEqual(await shim.fileOverwrite([{ ...right, to: 123_456 }]), [{ errno: -EBADF, undone: true }]);
  closeSync(to);
  assert.deepEqual([...readFileSync(path)], [...seededBytes(10_000, 1).fill(0, 5000, 5100)]);
});

test('work on files, and what needs no relay, takes what it is meant for', () => {
  const shim = shimOrFail();
  const wrong: readonly Call[] = [
    ['onFile'],
    ['onFile', 'shred', 0],
    ['onFile', 'sync'],
    ['onFile', 'sync', -1],
    ['onFile', 'write', 0],
    ['onFile', 'write', 0, 0],
    ['onFile', 'write', 0, 0, 'x'],
    ['onFile', 'write', 0, new Uint8Array(1), 0],
    ['onFile', 'cut', 0],
    ['onFile', 'hasSmallFolios', 0, 0],
    ['onFile', 'fitsDirect', 0, 0],
    ['onFile', 'copy', 0, 0, 0, 0],
    ['onFile', 'copy', 0, 0, 0.5, 0, 0],
    ['createMemfd', 'name'],
    ['createMemfd', 'name', -1],
    ['witness'],
    ['witness', 'mood', 'folder', '/tmp'],
    ['witness', 'backing', 'tape', '/tmp'],
    ['witness', 'backing', 'folder'],
    ['witness', 'copyFree', 'folder', '/tmp'],
    ['witness', 'notice', 'folder', '/tmp', 'warp'],
  ];
  for (const [name, ...args] of wrong)
    assert.throws(() => untyped(shim, name)(...args), TypeError, inspect([name, args]));
});

test('a file that is not there is told of by the promise', async () => {
  const shim = shimOrFail();
  assert.equal(await shim.onFile('sync', 123_456), -EBADF);
  assert.equal(await shim.onFile('copy', 123_456, 0, 2 ** 40, 0, 1), -EBADF);
});
