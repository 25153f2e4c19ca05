import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Asker, Digests } from '../../src/region/digest.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';
import type { JudgedContent } from '../../src/relay/relay.ts';
import { until } from '../support/poll.ts';
import { makeFolder } from '../support/regions.ts';

const relays = { native: () => openRelay({ lanes: 1, maxHold: 10 }), portable: () => new PortableRelay('a test') };

/** So much that nobody waits for its digest. */
const huge = 2 ** 40;
const unbounded = Number.POSITIVE_INFINITY;

/** Those of a thread that an earlier test has left idle may go meanwhile. */
const descriptors = () => readdirSync('/proc/self/fd').length;

/** Field 19 of /proc/PID/task/TID/stat, of each thread (proc(5)). */
function nicenesses(): number[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'latin1');
      return [Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])];
    } catch {
      return []; // The thread has ended.
    }
  });
}

/** A connection that can be closed. */
class Connection extends EventEmitter implements Asker {
  destroyed = false;

  close(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function setUp(t: TestContext, kind: keyof typeof relays, maxBytes = unbounded) {
  const dir = makeFolder(t, 'tmpfs');
  const relay = relays[kind]();
  const digests = new Digests(relay, maxBytes);
  t.after(async () => {
    digests.close();
    await relay.close();
  });
  const open = (name: string): JudgedContent => {
    return { generation: relay.openGeneration(undefined, join(dir, name)), epoch: 0, version: 0 };
  };
  return {
    relay,
    digests,
    write(name: string, bytes: Uint8Array): JudgedContent {
      writeFileSync(join(dir, name), bytes);
      return open(name);
    },
    /** A file that is one hole. */
    hole(name: string, size: number): JudgedContent & { readonly path: string } {
      const path = join(dir, name);
      writeFileSync(path, '');
      truncateSync(path, size);
      return { ...open(name), path };
    },
    /** Asks until there is a digest, however loaded the machine is. */
    async have(content: JudgedContent, asker: Asker = new Connection()): Promise<string> {
      let digest: string | undefined;
      await until(async () => {
        digest = await digests.of(content, asker);
        return digest !== undefined;
      }, 'the digest is there');
      return digest ?? '';
    },
  };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64');

for (const kind of ['native', 'portable'] as const) {
  test(`${kind}: a digest is computed once, and known after its generation is closed`, async (t) => {
    const { relay, digests, write, have } = setUp(t, kind);
    const bytes = Buffer.alloc(3_000_001, 'digest me');
    const content = write('file', bytes);
    const before = descriptors();
    assert.equal(await have(content), sha256(bytes));
    relay.closeGeneration(content.generation);
    assert.equal(await digests.of(content, new Connection()), sha256(bytes), 'known, though the generation is gone');
    assert.equal(digests.outcomes.computed, 1);
    // The thread's own go when it has ended.
    await until(() => descriptors() <= before - 1, 'only the generation’s own descriptor went');
  });

  test(`${kind}: what others change while it is computed has no digest, though its size and mtime are as before`, async (t) => {
    const { digests, hole } = setUp(t, kind);
    const content = hole('file', 2 ** 28);
    utimesSync(content.path, 1, 1);
    const changed = digests.of(content, new Connection());
    utimesSync(content.path, 1, 1); // It moves ctime.
    assert.equal(await changed, undefined);
    await until(() => digests.running === 0, 'it has ended');
    assert.deepEqual(digests.outcomes, { computed: 0, failed: 1, cancelled: 0, refused: 0 });
  });
}

test('the bytes of an empty file, of one slice, and of one more have their digests', async (t) => {
  const { write, have } = setUp(t, 'native');
  for (const size of [0, 1, 262_143, 262_144, 262_145]) {
    const bytes = Buffer.alloc(size, 'x');
    assert.equal(await have(write(`file-${size}`, bytes)), sha256(bytes));
  }
});

test('a region above the limit has none, at once; one at the limit has', async (t) => {
  const { digests, write, have } = setUp(t, 'native', 1000);
  assert.equal(await digests.of(write('larger', Buffer.alloc(1001)), new Connection()), undefined);
  assert.deepEqual([digests.running, digests.outcomes.refused], [0, 1]);
  assert.equal(await have(write('largest', Buffer.alloc(1000))), sha256(Buffer.alloc(1000)));
});

test('a hole takes no memory', async (t) => {
  const { hole, have } = setUp(t, 'native');
  const content = hole('file', 2 ** 24);
  assert.equal(await have(content), sha256(Buffer.alloc(2 ** 24)));
  assert.equal(statSync(content.path).blocks, 0);
});

test('a computation ends with the last connection that has asked for it', async (t) => {
  const { digests, hole } = setUp(t, 'native');
  const content = hole('file', huge);
  const before = descriptors();
  const [one, other] = [new Connection(), new Connection()];
  const asked = [one, one, other].map((connection) => digests.of(content, connection));
  assert.equal(digests.running, 1);
  one.close();
  assert.equal(digests.outcomes.cancelled, 0, 'somebody still wants it');
  other.close();
  assert.deepEqual(await Promise.all(asked), [undefined, undefined, undefined]);
  await until(() => digests.running === 0, 'it has ended');
  assert.deepEqual(digests.outcomes, { computed: 0, failed: 0, cancelled: 1, refused: 0 });
  await until(() => descriptors() <= before, 'its descriptors are closed');
});

test('a connection that is closed already starts nothing that lasts', async (t) => {
  const { digests, hole } = setUp(t, 'native');
  const gone = new Connection();
  gone.close();
  for (const name of ['first', 'second']) {
    assert.equal(await digests.of(hole(name, huge), gone), undefined);
    await until(() => digests.running === 0, `${name} has ended`);
  }
  assert.equal(digests.outcomes.cancelled, 2);
  assert.equal(gone.listenerCount('close'), 0);
});

test('a connection has one listener, whatever it asks for', async (t) => {
  const { write, have } = setUp(t, 'native');
  const connection = new Connection();
  for (let index = 0; index < 20; index++) await have(write(`file-${index}`, Buffer.from(`${index}`)), connection);
  assert.equal(connection.listenerCount('close'), 1);
});

test('a short digest does not wait behind long ones', async (t) => {
  const { digests, write, hole, have } = setUp(t, 'native');
  const patient = new Connection();
  for (let index = 0; index < 15; index++) void digests.of(hole(`hole-${index}`, huge), patient);
  const bytes = Buffer.alloc(1_000_000, 'short');
  assert.equal(await have(write('short', bytes)), sha256(bytes));
  assert.equal(digests.running, 15);
});

test('where 16 are computed, the longest makes room for a shorter one and for no longer one', async (t) => {
  const { digests, write, hole, have } = setUp(t, 'native');
  const patient = new Connection();
  for (let index = 0; index < 16; index++) void digests.of(hole(`hole-${index}`, huge - index), patient);
  assert.equal(await digests.of(hole('longer', huge + 1), patient), undefined);
  assert.equal(digests.outcomes.refused, 1);
  const bytes = Buffer.from('short');
  assert.equal(await have(write('short', bytes)), sha256(bytes));
  assert.deepEqual(digests.outcomes, { computed: 1, failed: 0, cancelled: 1, refused: 1 });
});

test('closing gives up what is computed, at once, and computes no more', async (t) => {
  const { digests, hole } = setUp(t, 'native');
  const content = hole('file', huge);
  const before = descriptors();
  const asked = digests.of(content, new Connection());
  digests.close();
  assert.equal(await asked, undefined);
  await until(() => digests.running === 0 && descriptors() <= before, 'all has been given back');
  assert.equal(await digests.of(content, new Connection()), undefined);
  assert.equal(digests.running, 0);
});

test('readers come before digests where processors are short', async (t) => {
  const { digests, hole } = setUp(t, 'native');
  const own = getPriority();
  if (own >= 10) return t.skip(`these tests run at niceness ${own} themselves`);
  const gone = new Connection();
  const digest = digests.of(hole('file', huge), gone);
  await until(() => nicenesses().includes(10), 'a thread has a lower priority', nicenesses);
  assert.equal(getPriority(), own, 'the others keep theirs');
  gone.close();
  assert.equal(await digest, undefined);
});
