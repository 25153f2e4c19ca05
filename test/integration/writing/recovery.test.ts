/** What a start does about what the run before has left behind. */
import assert from 'node:assert/strict';
import { linkSync, readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LogOutput } from '../../../src/observe/log-output.ts';
import type { Description } from '../../../src/region/sidecar.ts';
import { inTurn } from '../../support/amount.ts';
import { until } from '../../support/poll.ts';
import { originOf, startCli, untilPutRight } from '../../support/process.ts';
import { makeFolder, type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { type Change, overwriting } from '../../support/requests.ts';
import { kept, makeTree, put, read, send, startWritable } from '../../support/writable.ts';

const size = 100_000;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);
const places: readonly Place[] = ['tmpfs', 'ext4'];

type Written = { format: number; name: string; descriptions: Description[] };

/** The one sidecar of a tree. */
function sidecarIn(dir: string): { file: string; sidecar: Written } {
  const folder = join(dir, '.pagerelay', 'regions');
  const [name = assert.fail('a sidecar'), ...more] = readdirSync(folder);
  assert.deepEqual(more, []);
  const file = join(folder, name);
  return { file, sidecar: JSON.parse(readFileSync(file, 'utf8')) as Written };
}

/** Whether that says of each of its files when it was changed. While it is written, a second file is beside it. */
function isSettled(dir: string): boolean {
  const folder = join(dir, '.pagerelay', 'regions');
  const [name = '', ...more] = readdirSync(folder);
  if (more.length > 0) return false;
  const { descriptions } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Written;
  return descriptions.every(({ changed }) => changed !== null);
}

/** Runs a service on a tree, and ends it. */
async function during(
  t: TestContext,
  dir: string,
  act: (running: Awaited<ReturnType<typeof startWritable>>) => unknown,
) {
  const running = await startWritable(t, 'tmpfs', { dir });
  await act(running);
  await running.close();
}

/** A service on a tree, and what it has logged by now. */
async function startLogging(t: TestContext, dir: string) {
  const file = join(makeFolder(t, 'ext4'), 'log');
  const log = LogOutput.toFile(file);
  const running = await startWritable(t, 'tmpfs', { dir, logLevel: 'warn', log });
  return { running, logged: () => readFileSync(file, 'utf8') };
}

/** A tree with the region that a service made, and maybe changed. */
async function treeWith(t: TestContext, place: Place, ...changes: Change[]): Promise<string> {
  const { dir } = makeTree(t, place);
  await during(t, dir, async (running) => {
    const fields = { 'content-type': 'text/x-mine' };
    assert.equal((await send(t, running, { method: 'PUT', path, fields, body: old })).status, 201);
    for (const change of changes) assert.equal((await send(t, running, change)).status, 204);
  });
  return dir;
}

test('unfinished uploads, and files that have lost their names, are removed', async (t) => {
  for (const place of places) {
    const dir = await treeWith(t, place);
    writeFileSync(join(dir, '.pagerelay/tmp/0123456789abcdef01234567'), 'half');
    writeFileSync(join(dir, '.pagerelay/old/0123456789abcdef01234567'), 'old');
    writeFileSync(`${sidecarIn(dir).file}.0123456789abcdef.new`, 'half');
    await during(t, dir, async (running) => {
      assert.deepEqual([kept(running, 'tmp'), kept(running, 'old')], [[], []]);
      sidecarIn(dir);
      assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old));
    });
  }
});

test('a file that was about to lose its name keeps its entity-tag, however often the service is killed', async (t) => {
  for (const place of inTurn(places, 1)) {
    const dir = await treeWith(t, place);
    // As a kill between the two names leaves it.
    const { file, sidecar } = sidecarIn(dir);
    const descriptions = sidecar.descriptions.map((each) => ({ ...each, changed: null }));
    writeFileSync(file, JSON.stringify({ ...sidecar, descriptions }, null, 2));
    linkSync(join(dir, 'file.bin'), join(dir, '.pagerelay/old/0123456789abcdef01234567'));
    const tags: (string | null)[] = [];
    for (let run = 0; run < 2; run++) {
      const child = startCli(t, ['serve', '--dir', dir, '--writable', '--port', '0', '--log-level', 'error']);
      const origin = await originOf(child);
      await untilPutRight(origin);
      const { headers } = await fetch(`${origin}${path}`, { method: 'HEAD' });
      tags.push(headers.get('etag'));
      await until(() => isSettled(dir), 'it is settled');
      assert.deepEqual(readdirSync(join(dir, '.pagerelay/old')), []);
      child.process.kill('SIGKILL');
      await child.exited;
    }
    assert.equal(new Set(tags).size, 1, `${tags}`);
  }
});

type Note = { name: string; inode: number; offset: number; length: number };

function writeNote(dir: string, id: string, note: Note | string, bytes: Uint8Array): void {
  const heading = typeof note === 'string' ? note : `${JSON.stringify(note)}\n`;
  writeFileSync(join(dir, '.pagerelay/tmp', `${id}.undo`), Buffer.concat([Buffer.from(heading), bytes]));
}

for (const place of places) {
  test(`an overwrite that was cut off is undone by its note, on ${place}`, async (t) => {
    const dir = await treeWith(t, place);
    const file = join(dir, 'file.bin');
    const { ino } = statSync(file);
    const bytes = seededBytes(8192, 2);
    writeNote(dir, 'aaa', { name: 'file.bin', inode: ino, offset: 4096, length: 8192 }, bytes);
    writeNote(dir, 'bbb', { name: 'file.bin', inode: ino + 1, offset: 50_000, length: 8192 }, bytes);
    writeNote(dir, 'ccc', { name: 'gone/by/now', inode: ino, offset: 60_000, length: 8192 }, bytes);
    await during(t, dir, async (running) => {
      const expected = Buffer.from(old);
      bytes.copy(expected, 4096);
      assert.equal((await read(t, running, 'file.bin')).sha256, sha256(expected), 'its bytes alone are put back');
      assert.deepEqual(kept(running, 'tmp'), []);
    });
  });
}

test('a note undoes nothing in a file that was made later with the same inode, or is shorter than what it is of', async (t) => {
  const dir = await treeWith(t, 'ext4');
  const { ino, birthtimeNs } = statSync(join(dir, 'file.bin'), { bigint: true });
  const place = { name: 'file.bin', inode: Number(ino), length: 5000 };
  const bytes = seededBytes(5000, 2);
  const born = String(birthtimeNs - 1n);
  writeNote(dir, 'aaa', `${JSON.stringify({ ...place, offset: 0, born })}\n`, bytes);
  writeNote(dir, 'bbb', `${JSON.stringify({ ...place, offset: size - 4999, born: String(birthtimeNs) })}\n`, bytes);
  const { running, logged } = await startLogging(t, dir);
  assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old));
  assert.deepEqual(kept(running, 'tmp'), []);
  await until(
    () => logged().split('is not undone: others have changed the file').length === 3,
    'both are told',
    logged,
  );
  await running.close();
});

test('a note undoes an overwrite of a file that was made when it says', async (t) => {
  const dir = await treeWith(t, 'ext4');
  const { ino, birthtimeNs } = statSync(join(dir, 'file.bin'), { bigint: true });
  const bytes = seededBytes(5000, 2);
  const place = { name: 'file.bin', inode: Number(ino), born: String(birthtimeNs), offset: 0, length: 5000 };
  writeNote(dir, 'aaa', `${JSON.stringify(place)}\n`, bytes);
  await during(t, dir, async (running) => {
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(Buffer.concat([bytes, old.subarray(5000)])));
  });
});

test('a note that was not finished undoes nothing', async (t) => {
  const dir = await treeWith(t, 'tmpfs');
  const inode = statSync(join(dir, 'file.bin')).ino;
  writeNote(dir, 'aaa', { name: 'file.bin', inode, offset: 0, length: 5000 }, seededBytes(5000, 2));
  renameSync(join(dir, '.pagerelay/tmp/aaa.undo'), join(dir, '.pagerelay/tmp/aaa.undo.new'));
  await during(t, dir, async (running) => {
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old));
    assert.deepEqual(kept(running, 'tmp'), []);
  });
});

test('a note that a power cut has brought back undoes nothing, for what it is of can be durable by then', async (t) => {
  const dir = await treeWith(t, 'ext4');
  const inode = statSync(join(dir, 'file.bin')).ino;
  const place = { name: 'file.bin', inode, offset: 0, length: 5000 };
  writeNote(dir, 'aaa', `${JSON.stringify({ ...place, boot: 'before' })}\n`, seededBytes(5000, 2));
  await during(t, dir, async (running) => {
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old));
    assert.deepEqual(kept(running, 'tmp'), []);
  });
});

const heading = (inode: number, name = 'file.bin') => `${JSON.stringify({ name, inode, offset: 0, length: 5000 })}\n`;

const brokenNotes: Readonly<Record<string, (inode: number) => string>> = {
  'nothing at all': () => '',
  'no line': (inode) => heading(inode).trimEnd(),
  'no JSON': () => '{\n',
  'no object': () => '5\n',
  'no name': () => '{"inode":1,"offset":0,"length":1}\n',
  'no length': () => '{"name":"file.bin","inode":1,"offset":0}\n',
  'a place before the beginning': () => '{"name":"file.bin","inode":1,"offset":-1,"length":1}\n',
  'a name out of the tree': (inode) => heading(inode, '../../etc/passwd'),
  'more bytes than it has': (inode) => heading(inode),
};

for (const [what, note] of Object.entries(brokenNotes)) {
  test(`a note of ${what} is reported and dropped, and the service serves`, async (t) => {
    const dir = await treeWith(t, 'tmpfs');
    writeNote(dir, 'aaa', note(statSync(join(dir, 'file.bin')).ino), Buffer.from('x'));
    const { running, logged } = await startLogging(t, dir);
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old));
    await until(() => /could not be undone: its note is broken/.test(logged()), 'it is reported', logged);
    assert.deepEqual(readdirSync(join(dir, '.pagerelay/tmp')), []);
    await running.close();
  });
}

const damages: Readonly<Record<string, (text: string) => string>> = {
  'is empty': () => '',
  'is cut off': (text) => text.slice(0, -20),
  'is no JSON': () => 'nonsense',
  'lacks a key': (text) => text.replace(/^.*"epoch".*\n/m, ''),
  'is of another format': (text) => text.replace('"format": 2', '"format": 3'),
  'is of another region': (text) => text.replace('"name": "file.bin"', '"name": "other.bin"'),
};

for (const [damage, spoil] of Object.entries(damages)) {
  test(`a sidecar that ${damage} is set aside and logged, and its region served`, async (t) => {
    const dir = await treeWith(t, 'ext4', overwriting(path, 0, Buffer.from('x'), 5));
    const { file } = sidecarIn(dir);
    const spoilt = spoil(readFileSync(file, 'utf8'));
    writeFileSync(file, spoilt);
    const { running, logged } = await startLogging(t, dir);
    const found = await send(t, running, { method: 'GET', path });
    assert.ok(found.body.subarray(1).equals(old.subarray(1)));
    await until(() => /damaged sidecar is set aside/.test(logged()), 'it is logged', logged);
    const aside = readdirSync(join(dir, '.pagerelay', 'damaged'));
    assert.equal(aside.length, 1);
    assert.equal(readFileSync(join(dir, '.pagerelay', 'damaged', aside[0] ?? ''), 'utf8'), spoilt);
    assert.equal((await send(t, running, overwriting(path, 0, Buffer.from('y'), 5))).status, 204);
    await running.close();
  });
}

test('a sidecar of another file of that name is not used', async (t) => {
  const dir = await treeWith(t, 'ext4', overwriting(path, 0, Buffer.from('x'), 5));
  const { sidecar } = sidecarIn(dir);
  writeRegion(dir, '.new', size, 5);
  renameSync(join(dir, '.new'), join(dir, 'file.bin'));
  await during(t, dir, async (running) => {
    const { fields, body } = await send(t, running, { method: 'GET', path });
    assert.equal(sha256(body), sha256(seededBytes(size, 5)));
    assert.equal(fields.get('content-type'), 'application/octet-stream');
    assert.ok(!fields.get('etag')?.includes(sidecar.descriptions[0]?.generation ?? assert.fail()));
  });
});

test('a file that was to be cut is served short, and cut', async (t) => {
  for (const place of places) {
    const dir = await treeWith(t, place, overwriting(path, 0, Buffer.from('x'), 5));
    const { file, sidecar } = sidecarIn(dir);
    const [description = assert.fail()] = sidecar.descriptions;
    sidecar.descriptions = [{ ...description, size: 1000, cut: true }];
    writeFileSync(file, JSON.stringify(sidecar, null, 2));
    await during(t, dir, async (running) => {
      const first = await read(t, running, 'file.bin');
      const list = await send(t, running, { method: 'GET', path: '/regions' });
      assert.match(list.body.toString(), /"size":1000,/);
      await until(() => statSync(join(dir, 'file.bin')).size === 1000, 'it is cut');
      const then = await read(t, running, 'file.bin');
      assert.equal(then.sha256, first.sha256);
      assert.equal(then.sha256, sha256(Buffer.concat([Buffer.from('x'), old.subarray(1, 1000)])));
    });
  }
});

test('a version is never used again after a run that did not say how far it came', async (t) => {
  const dir = await treeWith(t, 'tmpfs', overwriting(path, 0, Buffer.from('x'), 5));
  const shown = new Set<string>();
  for (let run = 0; run < 4; run++) {
    await during(t, dir, async (running) => {
      const { etag } = await read(t, running, 'file.bin');
      assert.ok(!shown.has(etag), etag);
      shown.add(etag);
      if (run === 2) return; // It dies before it changes anything.
      const changed = await send(t, running, overwriting(path, 0, Buffer.from('y'), 5));
      shown.add(changed.fields.get('etag') ?? '');
    });
    const { file, sidecar } = sidecarIn(dir);
    const descriptions = sidecar.descriptions.map((each) => ({ ...each, version: null, run: 'another' }));
    writeFileSync(file, JSON.stringify({ ...sidecar, descriptions }, null, 2));
  }
  assert.equal(shown.size, 7);
});

test('a region that is gone is forgotten', async (t) => {
  const dir = await treeWith(t, 'tmpfs');
  truncateSync(join(dir, 'file.bin'), 10);
  await during(t, dir, async (running) => {
    assert.deepEqual(readdirSync(join(dir, '.pagerelay', 'regions')), [], 'what is known is of another content');
    assert.equal((await send(t, running, { method: 'DELETE', path })).status, 204);
    await put(t, running, 'file.bin', old);
  });
});

test('a state folder that is somebody else’s file is a start error', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  writeFileSync(join(dir, '.pagerelay'), 'a file');
  await assert.rejects(startWritable(scope, 'tmpfs', { dir }), /EEXIST|ENOTDIR/);
});
