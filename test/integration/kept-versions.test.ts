/** With `--keep-versions` the URL of a version that was replaced gives its bytes for so long, and then 412. */
import assert from 'node:assert/strict';
import { readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { holdingEngine } from '../support/engines.ts';
import { referencesOf } from '../support/holds.ts';
import { answersOf } from '../support/lane-answers.ts';
import { parseMultipart } from '../support/multipart.ts';
import { until } from '../support/poll.ts';
import { originOf, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256 } from '../support/regions.ts';
import { overwriting } from '../support/requests.ts';
import { startService } from '../support/service.ts';
import { mountTmpfs } from '../support/small-tmpfs.ts';
import { kept, makeTree, put, send, startWritable, untilOldIsGone, type Writable } from '../support/writable.ts';

const size = 200_000;
const name = 'a.bin';
const path = `/regions/${name}`;
const [first, second, third] = [seededBytes(size, 41), seededBytes(size, 42), seededBytes(size, 43)];

/** Gives the region other content. */
type Replace = (t: TestContext, running: Writable, content: Uint8Array) => Promise<unknown>;

const ways: Readonly<Record<string, Replace>> = {
  'by PUT': (t, running, content) => put(t, running, name, content),
  'by a file that others rename': async (_, { dir }, content) => {
    writeFileSync(join(dir, '.next'), content);
    renameSync(join(dir, '.next'), join(dir, name));
  },
};

async function startKeeping(t: TestContext, options = {}): Promise<Writable> {
  const running = await startWritable(t, 'tmpfs', { keepVersions: 3600, ...options });
  await put(t, running, name, first);
  return running;
}

/** The URL of the version that is current, as the list has it, and its entity-tag. */
async function currentOf({ origin }: Pick<Writable, 'origin'>): Promise<{ url: string; etag: string }> {
  const { regions } = (await (await fetch(`${origin}/regions`)).json()) as {
    regions: { name: string; versionUrl: string; etag: string }[];
  };
  const listed = regions.find((region) => region.name === name) ?? assert.fail('it is listed');
  const linked = (await fetch(`${origin}${path}`, { method: 'HEAD' })).headers.get('link');
  assert.equal(linked, `<?version=${listed.etag.slice(1, -1)}>; rel="bookmark"`);
  return { url: new URL(listed.versionUrl, `${origin}/regions`).href, etag: listed.etag };
}

async function got(url: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(url, { headers, method });
  return { status: response.status, fields: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

async function assertGone(url: string): Promise<void> {
  for (const method of ['GET', 'HEAD']) assert.equal((await got(url, { range: 'bytes=0-9' }, method)).status, 412);
}

/** The time of every version is over. */
function passHour({ service }: Pick<Writable, 'service'>): void {
  const versions = service.catalog.kept ?? assert.fail('versions are kept');
  versions.clock = { now: () => performance.now() + 3_600_000 };
}

for (const express of [true, false]) {
  for (const [way, replace] of Object.entries(ways)) {
    const by = express ? 'lanes' : 'Node';
    test(`beside ${by}: a download by a version’s URL goes on until its time is over, when it is replaced ${way}`, async (t) => {
      const running = await startKeeping(t, { express });
      const { url } = await currentOf(running);
      const { pathname, search } = new URL(url);
      const client = await RawClient.connect(t, running.port);
      const get = async (target: string, at: number) => {
        client.get(target, `${at}-${at + 9999}`);
        return client.response();
      };
      for (let at = 0; at < size; at += 10_000) {
        if (at === 50_000) await replace(t, running, second);
        if (at === 150_000) passHour(running);
        const { status, body } = await get(pathname + search, at);
        if (at < 150_000)
          assert.ok(status === 206 && body.equals(first.subarray(at, at + 10_000)), `${status} at ${at}`);
        else assert.equal(status, 412);
        const now = await get(path, at);
        const content = at < 50_000 ? first : second;
        assert.ok(now.status === 206 && now.body.equals(content.subarray(at, at + 10_000)), `${now.status} at ${at}`);
      }
      if (express) assert.ok(answersOf(running) > 0, 'lanes have answered');
      client.destroy();
    });
  }
}

test('a version that was replaced is answered like a current one: whole, in ranges, by conditions, to HEAD', async (t) => {
  const running = await startKeeping(t);
  const type = { 'content-type': 'application/x-first' };
  await send(t, running, { method: 'PUT', path, fields: type, body: first });
  const { url, etag } = await currentOf(running);
  const before = await got(url);
  await send(t, running, { method: 'PUT', path, fields: { 'content-type': 'application/x-second' }, body: second });
  await until(async () => /immutable/.test((await got(url, {}, 'HEAD')).fields.get('cache-control') ?? ''), 'settled');
  const whole = await got(url);
  assert.ok(whole.status === 200 && whole.body.equals(first));
  for (const field of ['etag', 'last-modified', 'content-type', 'content-location', 'accept-ranges', 'content-length'])
    assert.equal(whole.fields.get(field), before.fields.get(field), field);
  assert.deepEqual(
    [whole.fields.get('etag'), whole.fields.get('content-type'), whole.fields.get('link')],
    [etag, 'application/x-first', null],
  );
  const head = await got(url, { range: 'bytes=1-2' }, 'HEAD');
  assert.deepEqual([head.status, head.fields.get('etag'), head.fields.get('content-length')], [200, etag, `${size}`]);
  const ranges = await got(url, { range: 'bytes=0-9,100-109,-5' });
  const parts = parseMultipart(ranges.fields.get('content-type') ?? '', ranges.body).map(({ body }) => body);
  assert.ok(
    Buffer.concat(parts).equals(Buffer.concat([first.subarray(0, 10), first.subarray(100, 110), first.subarray(-5)])),
  );
  const lastModified = whole.fields.get('last-modified') ?? '';
  const [matching, other] = [{ 'if-none-match': etag }, { 'if-match': '"other"' }];
  assert.equal((await got(url, matching)).status, 304);
  assert.equal((await got(url, { 'if-modified-since': lastModified })).status, 304);
  assert.equal((await got(url, other)).status, 412);
  assert.equal((await got(url, { 'if-match': etag, range: 'bytes=0-0' })).status, 206);
  assert.equal((await got(url, { 'if-range': etag, range: 'bytes=0-0' })).status, 206);
  assert.equal((await got(url, { 'if-range': '"other"', range: 'bytes=0-0' })).status, 200);
  const outside = await got(url, { range: `bytes=${size}-` });
  assert.deepEqual([outside.status, outside.fields.get('content-range')], [416, `bytes */${size}`]);
  assert.notEqual((await currentOf(running)).url, url);
});

test('Want-Repr-Digest is answered for a version that was replaced', async (t) => {
  const running = await startKeeping(t);
  const { url } = await currentOf(running);
  await put(t, running, name, second);
  const digest = (await got(url, { 'want-repr-digest': 'sha-256=1' })).fields.get('repr-digest');
  assert.equal(digest, `sha-256=:${Buffer.from(sha256(first), 'hex').toString('base64')}:`);
});

test('of a region that is overwritten in place and then replaced, the version after the overwrite is kept', async (t) => {
  const running = await startKeeping(t);
  const before = await currentOf(running);
  const part = second.subarray(1000, 1100);
  assert.equal((await send(t, running, overwriting(path, 1000, part, 10))).status, 204);
  const after = await currentOf(running);
  await assertGone(before.url);
  await put(t, running, name, third);
  await assertGone(before.url);
  const expected = Buffer.concat([first.subarray(0, 1000), part, first.subarray(1100)]);
  assert.ok((await got(after.url)).body.equals(expected));
});

test('each of the versions that follow one another is had by its own URL', async (t) => {
  const running = await startKeeping(t);
  const urls: string[] = [];
  for (const content of [second, third, first]) {
    urls.push((await currentOf(running)).url);
    await put(t, running, name, content);
  }
  for (const [at, content] of [first, second, third].entries())
    assert.ok((await got(urls[at] ?? '')).body.equals(content), `version ${at}`);
  assert.ok((await got(`${running.origin}${path}`)).body.equals(first));
  const { body } = await got(`${running.origin}/metrics`);
  assert.match(body.toString(), /^pagerelay_kept_versions 3$/m);
  assert.match(body.toString(), new RegExp(`^pagerelay_kept_version_bytes ${3 * size}$`, 'm'));
});

for (const [way, remove] of Object.entries({
  DELETE: (t: TestContext, running: Writable) => send(t, running, { method: 'DELETE', path }),
  others: async (_: TestContext, { dir }: Writable) => rmSync(join(dir, name)),
}))
  test(`with a region that ${way} removes all its versions go, and none comes back`, async (t) => {
    const running = await startKeeping(t);
    const old = await currentOf(running);
    await put(t, running, name, second);
    const current = await currentOf(running);
    assert.equal((await got(old.url)).status, 200);
    await remove(t, running);
    for (const { url } of [old, current]) assert.equal((await got(url)).status, 404);
    await put(t, running, name, third);
    for (const { url } of [old, current]) await assertGone(url);
    await untilOldIsGone(running);
  });

test('where two files have one entity-tag, its URL gives the current one', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const write = (content: Uint8Array, seconds: number) => {
    writeFileSync(join(dir, '.next'), content);
    utimesSync(join(dir, '.next'), seconds, seconds);
    renameSync(join(dir, '.next'), join(dir, name));
  };
  write(first, 1_700_000_000);
  const running = await startService(t, { dir, portableEtags: true, keepVersions: 3600 });
  const { url } = await currentOf(running);
  write(second, 1_700_000_000);
  assert.ok((await got(url)).body.equals(second));
  write(third, 1_700_000_001);
  assert.ok((await got(url)).body.equals(second), 'the last that had it');
});

test('versions have no more bytes than --keep-bytes, and nothing is left of one that had to go', async (t) => {
  const running = await startKeeping(t, { keepBytes: 2 * size + 1 });
  const urls: string[] = [];
  for (const content of [second, third, first, second]) {
    urls.push((await currentOf(running)).url);
    await put(t, running, name, content);
  }
  await until(
    () => kept(running, 'old').length === 2,
    'two files are kept',
    () => kept(running, 'old'),
  );
  const statuses = await Promise.all(urls.map(async (url) => (await got(url)).status));
  assert.deepEqual(statuses, [412, 412, 200, 200]);
});

test('where the file system is full, versions that were replaced give way to new content', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  if (!mountTmpfs(t, scope, dir, '4m')) return;
  const running = await startWritable(scope, 'tmpfs', { dir, keepVersions: 3600 });
  const urls: string[] = [];
  for (const seed of [1, 2, 3, 4, 5]) {
    const content = seededBytes(1_500_000, seed);
    await put(t, running, name, content);
    urls.unshift((await currentOf(running)).url);
    const [now, before, longBefore] = await Promise.all(urls.map((url) => got(url)));
    assert.ok(now?.body.equals(content));
    assert.equal(before?.status ?? 200, 200);
    assert.equal(longBefore?.status ?? 412, 412);
  }
});

test('all who find the file system full while a version gives way wait for its room', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  if (!mountTmpfs(t, scope, dir, '4m')) return;
  const running = await startWritable(scope, 'tmpfs', { dir, keepVersions: 3600 });
  for (const seed of [1, 2]) await put(t, running, name, seededBytes(1_200_000, seed));
  const { relay } = running.service.writer?.store ?? assert.fail('it is writable');
  const [write, retire] = [relay.files.write.bind(relay.files), relay.retireGeneration.bind(relay)];
  const full = new Set<number>();
  t.mock.method(relay.files, 'write', async (...args: Parameters<typeof write>) => {
    await write(...args).catch((error) => {
      full.add(args[0]);
      throw error;
    });
  });
  t.mock.method(relay, 'retireGeneration', async (...args: Parameters<typeof retire>) => {
    await until(() => full.size === 2, 'both find no room');
    await retire(...args);
  });
  await Promise.all(['b', 'c'].map((other) => put(t, running, other, seededBytes(1_300_000, 3))));
});

test('a version is kept although somebody looks at its file between the two steps of replacing it', async (t) => {
  const running = await startKeeping(t);
  const { url } = await currentOf(running);
  const { old } = running.service.writer?.store ?? assert.fail('it is writable');
  const keep = old.keep.bind(old);
  // The file has another link by then, which is noticed: the region is not open any more.
  t.mock.method(old, 'keep', async (file: string) => {
    const link = await keep(file);
    await until(() => running.service.catalog.recall(name) === undefined, 'it is let go of');
    return link;
  });
  await put(t, running, name, second);
  assert.ok((await got(url)).body.equals(first));
});

test('a body of a version whose time is over goes on to its end', async (t) => {
  const running = await startWritable(t, 'tmpfs', { keepVersions: 3600, engine: holdingEngine });
  const large = seededBytes(8 << 20, 44);
  await put(t, running, name, large);
  const { url } = await currentOf(running);
  await put(t, running, name, second);
  const client = await RawClient.connect(t, running.port);
  const { pathname, search } = new URL(url);
  client.get(pathname + search);
  assert.equal((await client.head()).status, 200);
  assert.deepEqual(
    (await referencesOf(running)).map(({ region }) => region),
    [name],
  );
  passHour(running);
  await assertGone(url);
  assert.equal(await client.hash(large.length), sha256(large));
  client.destroy();
  await untilOldIsGone(running);
});

test('a file that somebody still writes to is given by no version’s URL', async (t) => {
  const { dir } = makeTree(t, 'tmpfs');
  writeFileSync(join(dir, name), first);
  writeFileSync(join(dir, 'other.bin'), second);
  const running = await startService(t, { dir, keepVersions: 3600 });
  const { url } = await currentOf(running);
  renameSync(join(dir, name), join(dir, 'moved.bin'));
  renameSync(join(dir, 'other.bin'), join(dir, name));
  assert.ok((await got(url)).body.equals(first));
  writeFileSync(join(dir, 'moved.bin'), third);
  await assertGone(url);
});

test('two services on one tree: the one keeps what the other replaces, for as long as both do', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const options = { dir, keepVersions: 3600 };
  const [one, other] = [await startWritable(scope, 'tmpfs', options), await startWritable(scope, 'tmpfs', options)];
  await put(t, one, name, first);
  const { url } = await currentOf(one);
  const ofOther = url.replace(one.origin, other.origin);
  assert.ok((await got(ofOther)).body.equals(first));
  await put(t, one, name, second);
  for (const each of [url, ofOther]) assert.ok((await got(each)).body.equals(first));
  // Its link goes, which moves the file's ctime: for all the other knows, somebody has changed it.
  passHour(one);
  await assertGone(url);
  await untilOldIsGone(one);
  await assertGone(ofOther);
  assert.ok((await got(`${other.origin}${path}`)).body.equals(second));
});

test('a service that is closed has let go of every version, and the next one knows none', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const one = await startWritable(scope, 'tmpfs', { dir, keepVersions: 3600 });
  await put(t, one, name, first);
  const before = countOpen();
  const { url } = await currentOf(one);
  for (const content of [second, third, first]) {
    await put(t, one, name, content);
    writeFileSync(join(dir, '.next'), second);
    renameSync(join(dir, '.next'), join(dir, name));
    assert.ok((await got(`${one.origin}${path}`)).body.equals(second));
  }
  assert.equal((await got(url)).status, 200);
  assert.ok(countOpen().descriptors >= before.descriptors + 6, 'they are open');
  await one.close();
  assert.deepEqual(kept(one, 'old'), []);
  await untilClosed(before);
  const next = await startWritable(scope, 'tmpfs', { dir, keepVersions: 3600 });
  await assertGone(url.replace(one.origin, next.origin));
});

test('with few descriptors few versions are kept, every request is answered, and a kill leaves none', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const descriptors = 256;
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  const args = ['serve', '--port', '0', '--dir', dir, '--writable', '--keep-versions', '3600', '--access-log', 'off'];
  const child = start(t, 'prlimit', [`--nofile=${descriptors}`, process.execPath, cli, ...args]);
  const origin = await originOf(child);
  const port = Number(new URL(origin).port);
  const client = await RawClient.connect(t, port);
  let url = '';
  for (let turn = 0; turn < 40; turn++) {
    const content = seededBytes(1000, turn);
    await put(t, { port }, name, content);
    ({ url } = turn === 35 ? await currentOf({ origin }) : { url });
    client.get(path);
    assert.ok((await client.response()).body.equals(content), `turn ${turn}`);
  }
  assert.ok((await got(url)).body.equals(seededBytes(1000, 35)));
  const [, count] = /^pagerelay_kept_versions (\d+)$/m.exec((await got(`${origin}/metrics`)).body.toString()) ?? [];
  assert.equal(count, String(descriptors / 32));
  const open = readdirSync(`/proc/${child.process.pid}/fd`).length;
  assert.ok(open < descriptors / 2, `${open} are open`);
  const links = () => kept({ dir }, 'old');
  await until(() => links().length === descriptors / 32, 'those that had to go are gone', links);
  child.process.kill('SIGKILL');
  await child.exited;
  const next = await startWritable(t, 'tmpfs', { dir, keepVersions: 3600 });
  await assertGone(url.replace(origin, next.origin));
  await untilOldIsGone(next);
});

test('without --keep-versions nothing is kept, and nothing is said of it', async (t) => {
  const running = await startKeeping(t, { keepVersions: 0 });
  const { url } = await currentOf(running);
  await put(t, running, name, second);
  await assertGone(url);
  await untilOldIsGone(running);
  assert.doesNotMatch((await got(`${running.origin}/metrics`)).body.toString(), /kept_version/);
});
