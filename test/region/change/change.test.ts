import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { Change, withChange } from '../../../src/region/change/change.ts';
import { type Asked, lease } from '../../../src/region/change/lease.ts';
import { resizeRegion } from '../../../src/region/change/resize.ts';
import { TreeLock } from '../../../src/region/tree-lock.ts';
import { etagOf } from '../../../src/region/validator.ts';
import { NativeRelay } from '../../../src/relay/native-relay.ts';
import { openRelay } from '../../../src/relay/open-relay.ts';
import { SystemError } from '../../../src/relay/relay.ts';
import { countOpen, untilClosed } from '../../support/descriptors.ts';
import { writeRegion } from '../../support/regions.ts';
import { setFault } from '../../support/testing-shim.ts';
import { warmProcess } from '../../support/warm-process.ts';
import { startWritable } from '../../support/writable.ts';

before(warmProcess);

const name = 'file.bin';
const size = 20_000;
const pages = { offset: 0, length: 5000, needs: 'done' } as const;

/** A store of one region, and another service's lock of its tree. */
async function open(t: TestContext) {
  // With a quota all regions are counted, which takes descriptors, before the start is over.
  const { service, dir } = await startWritable(t, 'tmpfs', { express: false, maxBytes: 1e9 });
  writeRegion(dir, name, size);
  const relay = openRelay({ lanes: 1, maxHold: 10 });
  assert.ok(relay instanceof NativeRelay);
  const other = new TreeLock(relay, relay.openTree(dir));
  t.after(() => {
    other.close();
    return relay.close();
  });
  const { store } = service.writer ?? assert.fail();
  const version = () => store.catalog.find(name).content.version;
  version(); // It is open from here on.
  const opened = countOpen();
  const checkReturned = async () => {
    assert.equal(store.relay.counters().leases, 0, 'no lease is left');
    assert.ok(other.exclude(), 'other services may change bytes');
    other.readmit();
    version();
    await untilClosed(opened);
  };
  const sizeNow = () => {
    store.catalog.letGo(name);
    return store.catalog.find(name).content.generation.size;
  };
  return { store, dir, other, version, sizeNow, checkReturned };
}

type Opened = Awaited<ReturnType<typeof open>>;

function asking(judge: Asked['judge'] = () => {}, milliseconds = 60_000): Asked {
  const patience = { deadline: performance.now() + milliseconds, signal: new AbortController().signal };
  return { name, judge, patience };
}

async function change<Result>({ store }: Opened, act: (change: Change) => Promise<Result>, asked = asking()) {
  return withChange(store, asked, await lease(store, asked, () => pages), act);
}

test('a change that is committed has moved the version once, and given all back', async (t) => {
  const opened = await open(t);
  for (const expected of [1, 2]) {
    const region = await change(opened, async (it) => {
      await it.begin();
      assert.equal(it.region.content.version, expected);
      assert.equal(opened.store.relay.counters().leases, 1);
      assert.equal(opened.other.exclude(), false, 'other services are locked out');
      return it.commit();
    });
    assert.equal(region.content.version, expected);
    assert.equal(opened.version(), expected);
    await opened.checkReturned();
  }
});

test('one that is undone has moved it twice, and the region has its size', async (t) => {
  const opened = await open(t);
  await change(opened, async (it) => {
    await it.begin();
    await it.resize(5000, true);
    it.undo();
  });
  assert.equal(opened.version(), 2);
  assert.equal(opened.store.catalog.find(name).content.generation.size, size);
  await opened.checkReturned();
});

test('a size is the region’s when the change is committed', async (t) => {
  const opened = await open(t);
  await change(opened, async (it) => {
    await it.begin();
    await it.resize(5000, true);
    return it.commit();
  });
  opened.store.catalog.letGo(name);
  assert.equal(opened.store.catalog.find(name).content.generation.size, 5000);
});

test('one that fails is undone', async (t) => {
  const opened = await open(t);
  const failing = change(opened, async (it) => {
    await it.begin();
    throw new Error('no');
  });
  await assert.rejects(failing, /^Error: no$/);
  assert.equal(opened.version(), 2);
  await opened.checkReturned();
});

test('one that fails, and then fails to end, is told by what it failed by first; the other error is reported', async (t) => {
  const opened = await open(t);
  const { store } = opened;
  const report = t.mock.method(store, 'report', () => {});
  const moving = t.mock.method(store.relay.claims, 'beginLease', store.relay.claims.beginLease);
  const failing = change(opened, async (it) => {
    await it.begin();
    moving.mock.mockImplementation(() => {
      throw new SystemError('EIO', 'beginLease');
    });
    throw new Error('no');
  });
  await assert.rejects(failing, /^Error: no$/);
  moving.mock.restore();
  const [told, ...others] = report.mock.calls.map(({ arguments: [, details] }) => details);
  assert.deepEqual([told, others], [{ region: name, err: new SystemError('EIO', 'beginLease') }, []]);
  await opened.checkReturned();
});

test('one that is left without an end is undone, and that is an error', async (t) => {
  const opened = await open(t);
  await assert.rejects(
    change(opened, (it) => it.begin()),
    /a change has no end/,
  );
  assert.equal(opened.version(), 2);
  await opened.checkReturned();
});

test('one that has not begun changes nothing', async (t) => {
  const opened = await open(t);
  await change(opened, async () => {});
  await change(opened, (it) => it.open());
  assert.equal(opened.version(), 0);
  await opened.checkReturned();
});

test('one that is abandoned keeps its pages, and other services out, but not its descriptor', async (t) => {
  const opened = await open(t);
  const before = countOpen();
  await change(opened, async (it) => {
    await it.begin();
    it.abandon();
  });
  assert.equal(opened.store.relay.counters().leases, 1);
  assert.equal(opened.other.exclude(), false);
  await assert.rejects(
    change(opened, () => assert.fail(), asking(undefined, 0)),
    { code: 'range-busy' },
  );
  await untilClosed(before);
});

const afterBegin: Readonly<Record<string, (it: Change) => unknown>> = {
  commit: (it) => it.commit(),
  undo: (it) => it.undo(),
  abandon: (it) => it.abandon(),
  moveAgain: (it) => it.moveAgain(),
  leaveOpen: (it) => it.leaveOpen(),
  resize: (it) => it.resize(1, true),
};
const refused = { code: 'ERR_ASSERTION' };

test('nothing but an end comes before the beginning', async (t) => {
  const opened = await open(t);
  for (const early of Object.values(afterBegin)) {
    await change(opened, async (it) => {
      assert.throws(() => it.fd, refused);
      await assert.rejects(async () => early(it), refused);
    });
  }
  assert.equal(opened.version(), 0);
  await opened.checkReturned();
});

test('a file is opened once, and a change begins once', async (t) => {
  const opened = await open(t);
  await change(opened, async (it) => {
    await it.open();
    await assert.rejects(it.open(), refused);
    await it.begin();
    await assert.rejects(it.begin(), refused);
    assert.equal(it.isGoingOn, true, 'it goes on all the same');
    return it.commit();
  });
  assert.equal(opened.version(), 1);
  await opened.checkReturned();
});

test('nothing comes after an end', async (t) => {
  const opened = await open(t);
  for (const end of ['commit', 'undo'] as const) {
    await change(opened, async (it) => {
      await it.begin();
      it[end]();
      const version = opened.version();
      assert.throws(() => it.fd, refused);
      for (const late of [...Object.values(afterBegin), () => it.open(), () => it.begin()]) {
        await assert.rejects(async () => late(it), refused);
      }
      it.end();
      assert.equal(opened.version(), version);
    });
    await opened.checkReturned();
  }
});

const between: Readonly<Record<string, readonly [(dir: string) => void, code: string]>> = {
  replaced: [(dir) => renameSync(writeRegion(dir, 'other.bin', size, 2).path, join(dir, name)), 'range-busy'],
  removed: [(dir) => rmSync(join(dir, name)), 'ENOENT'],
};

for (const [what, [act, code]] of Object.entries(between)) {
  test(`a region that is ${what} before its change begins is left as it is, and all is given back`, async (t) => {
    const opened = await open(t);
    await assert.rejects(
      change(opened, (it) => {
        act(opened.dir);
        return it.begin();
      }),
      { code },
    );
    assert.equal(opened.store.relay.counters().leases, 0);
    assert.ok(opened.other.exclude());
    opened.other.readmit();
  });
}

test('a change that is refused when it is judged again has changed nothing', async (t) => {
  const opened = await open(t);
  let judged = 0;
  const judge = () => {
    if (++judged === 2) throw new Error('not any more');
  };
  await assert.rejects(
    change(opened, (it) => it.begin(), asking(judge)),
    /not any more/,
  );
  assert.equal(opened.version(), 0);
  await opened.checkReturned();
});

test('a change waits for other services as long as it may, and leaves nothing', async (t) => {
  const opened = await open(t);
  assert.ok(opened.other.exclude());
  await assert.rejects(
    change(opened, (it) => it.begin(), asking(undefined, 0)),
    { code: 'other-writer' },
  );
  opened.other.readmit();
  assert.equal(opened.version(), 0);
  await opened.checkReturned();
});

const { EIO, EMFILE, ENOMEM, ENOSPC } = constants.errno;
const calls: readonly (readonly [call: string, errno: number])[] = [
  ['open', EMFILE],
  ['fsync', EIO],
  ['fsync', ENOSPC],
  ['fstat', EIO],
  ['allocate', ENOMEM],
];

for (const [call, errno] of calls) {
  test(`a change in which ${call} fails (${errno}), wherever that is, leaves no lease, descriptor or lock`, async (t) => {
    const opened = await open(t);
    const isDone = async (skip: number): Promise<boolean> => {
      // A lease that can't be had at once, for whatever reason, is asked for again: twice in a row is noticed.
      setFault(call, errno, skip, call === 'allocate' ? 2 : 1);
      try {
        await change(opened, async (it) => {
          await it.begin();
          await it.resize(5000, true);
          return it.commit();
        });
        return true;
      } catch {
        return false;
      } finally {
        setFault(call, 0, 0, 0);
      }
    };
    let failed = 0;
    for (; !(await isDone(failed)); failed++) {
      assert.ok(failed < 40, 'it succeeds in the end');
      assert.equal(opened.sizeNow(), size, 'the old one');
      await opened.checkReturned();
    }
    assert.ok(failed > 0, 'it is called');
    assert.equal(opened.sizeNow(), 5000);
    await opened.checkReturned();
  });
}

test('a change that nobody leads through is given back by its end', async (t) => {
  const opened = await open(t);
  const asked = asking();
  const it = new Change(opened.store, asked, await lease(opened.store, asked, () => pages));
  await it.begin();
  it.end();
  it.end();
  assert.equal(opened.version(), 2);
  await opened.checkReturned();
});

test('no entity-tag of a region has two sizes, while that changes and afterwards', async (t) => {
  const { store } = await open(t);
  const sizes = new Map<string, number>();
  const look = () => {
    const { state, content } = store.catalog.find(name);
    const etag = etagOf(state);
    const known = sizes.get(etag) ?? content.generation.size;
    sizes.set(etag, known);
    assert.equal(content.generation.size, known, etag);
    return etag;
  };
  for (const next of [5000, 30_000, 100]) {
    let isOver = false;
    const resizing = resizeRegion(store, asking(), next).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      look();
      await new Promise(setImmediate);
    }
    const told = etagOf((await resizing).state);
    assert.equal(look(), told, 'the client is told the new one');
    assert.equal(sizes.get(told), next);
  }
});

test('a region that others change while the change of its size is begun keeps its size, and the client is told', async (t) => {
  const opened = await open(t);
  const { states } = opened.store;
  const openEpoch = states.openEpoch.bind(states);
  t.mock.method(states, 'openEpoch', async (...given: Parameters<typeof openEpoch>) => {
    const epoch = await openEpoch(...given);
    appendFileSync(join(opened.dir, name), 'more');
    return epoch;
  });
  const changing = change(opened, async (it) => {
    await it.begin();
    await it.resize(5000, true);
    return it.commit();
  });
  await assert.rejects(changing, { code: 'range-busy' });
  assert.equal(opened.sizeNow(), size + 4);
  await opened.checkReturned();
});
