/** Descriptors that lines are written to, and the file that takes the place of the one before. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { byPool, type Descriptor, openDescriptor, openLogFile } from '../../src/observe/descriptor.ts';
import { until } from '../support/poll.ts';
import { makeFolder } from '../support/regions.ts';

/** Whether this process has a file open. */
function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false; // It is the one by which the list was read.
    }
  });
}

const kinds: Record<string, (fd: number) => Descriptor> = { 'by a thread': openDescriptor, 'by the pool': byPool };

for (const [how, open] of Object.entries(kinds)) {
  test(`what is written ${how} goes on in another file, piece by piece, and the one before is closed`, async (t) => {
    const folder = makeFolder(t, 'ext4');
    const [before, skipped, after] = ['before', 'skipped', 'after'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const first = Buffer.alloc(1 << 20, 'x');
    const descriptor = open(openLogFile(before));
    const writing = descriptor.write(first);
    descriptor.reopen(openLogFile(skipped));
    descriptor.reopen(openLogFile(after));
    assert.deepEqual(await writing, { bytes: first.length, error: undefined });
    assert.deepEqual(await descriptor.write(Buffer.from('second\n')), { bytes: 7, error: undefined });
    await until(() => !isOpen(before) && !isOpen(skipped), 'those that are not written to are closed');
    assert.equal(isOpen(after), true);
    // Which file gets the first piece depends on when a thread begins it; but one of them gets all of it.
    const written = [before, skipped, after].map((path) => readFileSync(path));
    assert.ok(Buffer.concat(written).equals(Buffer.concat([first, Buffer.from('second\n')])), 'in order, and once');
    assert.ok(written[2]?.length === 7 || written[2]?.length === first.length + 7, 'whole pieces');
  });
}

test('lines are added to what is in a file', async (t) => {
  const path = join(makeFolder(t, 'ext4'), 'log');
  writeFileSync(path, 'there\n');
  await openDescriptor(openLogFile(path)).write(Buffer.from('new\n'));
  assert.equal(readFileSync(path, 'utf8'), 'there\nnew\n');
});
