/** Entity-tags of files that others made, however alike two of them are. */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, renameSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ServiceOptions } from '../../src/service.ts';
import { askLane, connectToLane } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, overwrite, type Place, seededBytes, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const size = 200_000;
const path = '/regions/file.bin';
const places: readonly Place[] = ['tmpfs', 'ext4'];

/** Seconds since 1970: what extracting an archive reproducibly, `touch -r` and `rsync -t` leave behind. */
const mtime = 1;

function writeAlike(folder: string, name: string, seed: number): string {
  const file = writeRegion(folder, name, size, seed).path;
  utimesSync(file, mtime, mtime);
  return file;
}

/** What others do to a file so that neither size nor mtime tells. */
const deeds: Readonly<Record<string, (file: string, folder: string) => void>> = {
  'renames another file over it': (file, folder) => renameSync(writeAlike(folder, 'next', 2), file),
  'overwrites it in place and puts its mtime back': (file) => {
    overwrite(file, 0, seededBytes(size, 2));
    utimesSync(file, mtime, mtime);
  },
};

type Made = Running & { readonly file: string; readonly folder: string };

async function serve(t: TestContext, place: Place, options: Partial<ServiceOptions> = {}): Promise<Made> {
  const folder = makeFolder(t, place);
  const file = writeAlike(folder, 'file.bin', 1);
  return { ...(await startService(t, { dir: folder, ...options })), file, folder };
}

async function get(t: TestContext, { port }: Running, range?: string, fields?: string): Promise<RawResponse> {
  const client = await RawClient.connect(t, port);
  client.get(path, range, fields);
  const response = await client.response();
  client.destroy();
  return response;
}

const tagOf = ({ fields }: RawResponse) => fields.get('etag') ?? assert.fail('an entity-tag');

/** The first answer that is not of the entity-tag from before: what others change is seen a moment later by lanes. */
async function getNext(t: TestContext, running: Running, before: RawResponse, range?: string): Promise<RawResponse> {
  let now = before;
  const isNew = async () => {
    now = await get(t, running, range);
    return tagOf(now) !== tagOf(before);
  };
  await until(isNew, 'another entity-tag');
  return now;
}

const bytesOf = (seed: number, first = 0, last = size - 1) => seededBytes(size, seed).subarray(first, last + 1);

/** An answer waits a second for its digest; the next one has it. */
async function digestOf(t: TestContext, running: Made): Promise<string> {
  let digest: string | undefined;
  const isThere = async () => {
    digest = (await get(t, running, '0-9', 'Want-Repr-Digest: sha-256=10\r\n')).fields.get('repr-digest');
    return digest !== undefined;
  };
  await until(isThere, 'a digest');
  return digest ?? '';
}

for (const place of places) {
  for (const [deed, act] of Object.entries(deeds)) {
    test(`who ${deed}, on ${place}, gives the region another entity-tag at once where Node answers`, async (t) => {
      const running = await serve(t, place, { express: false });
      const before = tagOf(await get(t, running));
      act(running.file, running.folder);
      const now = await get(t, running, undefined, `If-None-Match: ${before}\r\n`);
      assert.equal(now.status, 200);
      assert.notEqual(tagOf(now), before);
      assert.ok(now.body.equals(bytesOf(2)));
      assert.equal((await get(t, running, '0-9', `If-Match: ${before}\r\n`)).status, 412);
      assert.equal((await get(t, running, '0-9', `If-Match: ${tagOf(now)}\r\n`)).status, 206);
    });

    test(`a download resumed after somebody ${deed}, on ${place}, is one file`, async (t) => {
      const running = await serve(t, place, { express: false });
      const first = await get(t, running, '0-99999');
      act(running.file, running.folder);
      const rest = await get(t, running, `100000-${size - 1}`, `If-Range: ${tagOf(first)}\r\n`);
      assert.equal(rest.status, 200, 'the range is of another file: all of that');
      assert.ok(rest.body.equals(bytesOf(2)));
    });

    test(`a lane sees a moment later that somebody ${deed}, on ${place}`, async (t) => {
      const running = await serve(t, place);
      const client = await connectToLane(t, running, { path });
      const before = await get(t, running, '0-99');
      act(running.file, running.folder);
      const now = await getNext(t, running, before, '0-99');
      assert.ok(now.body.equals(bytesOf(2, 0, 99)));
      const onceMore = await askLane(running, client, { path }, '0-99');
      assert.equal(tagOf(onceMore), tagOf(now));
      client.get(path, '0-99', `If-Range: ${tagOf(before)}\r\n`);
      const rest = await client.response();
      assert.equal(rest.status, 200, 'the range is of another file: all of that');
      assert.ok(rest.body.equals(bytesOf(2)));
      client.destroy();
    });

    test(`a digest is not the one from before somebody ${deed}, on ${place}`, async (t) => {
      const running = await serve(t, place);
      const before = await digestOf(t, running);
      act(running.file, running.folder);
      assert.notEqual(await digestOf(t, running), before);
    });
  }

  test(`a restart alone changes no entity-tag on ${place}`, async (t) => {
    const running = await serve(t, place);
    const before = tagOf(await get(t, running));
    await running.close();
    const again = await startService(t, { dir: running.folder });
    assert.equal(tagOf(await get(t, again)), before);
  });

  test(`equal copies on ${place} have one entity-tag where these are portable`, async (t) => {
    const [one, other] = [
      await serve(t, place, { portableEtags: true }),
      await serve(t, place, { portableEtags: true }),
    ];
    assert.equal(tagOf(await get(t, one)), tagOf(await get(t, other)));
  });
}

/** What moves ctime and leaves the bytes alone: the price of telling files apart by it. */
const touches: Readonly<Record<string, (file: string, folder: string) => void>> = {
  'changes its permissions': (file) => chmodSync(file, 0o640),
  'gives it another hard link': (file, folder) => linkSync(file, join(folder, 'link')),
};

for (const [what, act] of Object.entries(touches)) {
  test(`who ${what} gives a file another entity-tag, though its bytes are the same`, async (t) => {
    const running = await serve(t, 'tmpfs');
    const before = await get(t, running);
    act(running.file, running.folder);
    const now = await getNext(t, running, before);
    assert.ok(now.body.equals(before.body));
  });
}

test('a link that is switched between files of equal size and mtime is another entity-tag', async (t) => {
  const running = await serve(t, 'tmpfs');
  rmSync(running.file);
  for (const seed of [1, 2]) writeAlike(running.folder, `v${seed}`, seed);
  symlinkSync('v1', running.file);
  const before = await get(t, running);
  symlinkSync('v2', join(running.folder, 'next'));
  renameSync(join(running.folder, 'next'), running.file);
  assert.ok((await getNext(t, running, before)).body.equals(bytesOf(2)));
});
