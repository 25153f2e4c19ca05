/** Versions that were replaced give way where a file system has no room. */
import assert from 'node:assert/strict';
import { unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Room } from '../../../src/region/change/room.ts';
import { SystemError } from '../../../src/relay/relay.ts';
import { kept as keptIn, startWritable } from '../../support/writable.ts';

/** One version is kept, whose file takes all the room until `gone` resolves. */
function fullRoom() {
  const gone = Promise.withResolvers<void>();
  const kept = {
    count: 1,
    clear() {
      this.count = 0;
    },
  };
  let isFull = true;
  void gone.promise.then(() => {
    isFull = false;
  });
  const write = async () => {
    if (isFull) throw new SystemError('ENOSPC', 'write');
  };
  return { room: new Room(kept, { endOfKept: () => gone.promise }), write, gone };
}

test('whoever finds no room while a version gives way waits for that too, and tries again', async () => {
  const { room, write, gone } = fullRoom();
  const writes = [room.take(write), room.take(write)];
  const later = turn().then(() => room.take(write));
  await turn();
  await turn();
  gone.resolve();
  await Promise.all([...writes, later]);
});

test('a write that was told that there is no room after some was made is tried again', async () => {
  const { room, write, gone } = fullRoom();
  const late = Promise.withResolvers<void>();
  let tries = 0;
  const writing = room.take(async () => {
    if (++tries === 1) await late.promise;
  });
  gone.resolve();
  await room.take(write);
  late.reject(new SystemError('ENOSPC', 'write'));
  await writing;
  assert.equal(tries, 2);
});

test('where nothing gives way, and for other errors, nothing is tried again', async () => {
  for (const code of ['ENOSPC', 'EIO']) {
    const room = new Room(undefined, { endOfKept: () => assert.fail('nothing is kept') });
    let tries = 0;
    const write = async () => {
      tries++;
      throw new SystemError(code, 'write');
    };
    await assert.rejects(room.take(write), { code });
    assert.equal(tries, 1);
  }
});

test('who waits for the files of kept versions does not wait for readers of other files', async (t) => {
  const { service, dir } = await startWritable(t);
  const { old, relay } = service.writer?.store ?? assert.fail('it is writable');
  const [version, other] = await Promise.all(
    ['version', 'other'].map(async (name) => {
      const path = join(dir, name);
      writeFileSync(path, name);
      const kept = await old.keep(path);
      unlinkSync(path);
      return kept;
    }),
  );
  const read = Promise.withResolvers<void>();
  const retire = relay.retireGeneration.bind(relay);
  t.mock.method(relay, 'retireGeneration', async (generation: Parameters<typeof retire>[0]) => {
    if (generation === other?.generation) await read.promise;
    await retire(generation);
  });
  const until = Promise.withResolvers<void>();
  old.letGo(other ?? assert.fail());
  old.letGo(version ?? assert.fail(), until.promise);
  const end = old.endOfKept();
  until.resolve();
  await end;
  assert.equal(keptIn({ dir }, 'old').length, 1, 'that of the other file is still there');
  read.resolve();
  await old.settled();
  assert.equal(keptIn({ dir }, 'old').length, 0);
});
