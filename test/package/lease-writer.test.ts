/** examples/lease-writer: a process that maps a region's file itself and writes to it under a lease. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/poll.ts';
import { type Child, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import {
  bytesOf,
  makeFolder,
  type Place,
  type RegionFile,
  seededBytes,
  sha256,
  writeRegion,
} from '../support/regions.ts';
import { startWritable, type Writable } from '../support/writable.ts';

const mebibyte = 1 << 20;
const folderOfExample = fileURLToPath(new URL('../../examples/lease-writer', import.meta.url));
const program = join(folderOfExample, 'lease.py');
const skip = spawnSync('python3', ['--version']).error ? 'python3 is not installed' : false;
if (skip) console.warn(`*** SKIP: the lease example is NOT tested: ${skip}`);

type Lease = { readonly id: string; readonly owner: string };
type Served = Writable & { readonly file: RegionFile; readonly old: Buffer };

async function serve(t: TestContext, place: Place, size: number): Promise<Served> {
  const running = await startWritable(t, place);
  return { ...running, file: writeRegion(running.dir, 'model.bin', size, 231), old: seededBytes(size, 231) };
}

function startProgram(t: TestContext, { origin, file }: Served, first: number, content: Buffer): Child {
  const child = start(t, 'python3', [program, origin, file.name, file.path, String(first)]);
  child.process.stdin.end(content);
  return child;
}

/** Runs a few lines of Python that know `lease` (the module), `service`, `region` and `path`. */
function startLines(t: TestContext, { origin, file }: Served, lines: string): Child {
  const head = `import lease, time; service = lease.Service('${origin}'); region = '${file.name}'; path = '${file.path}'\n`;
  return start(t, 'python3', ['-B', '-c', head + lines], { PYTHONPATH: folderOfExample });
}

async function etagOf({ origin, file }: Served): Promise<string> {
  const { headers } = await fetch(`${origin}/regions/${file.name}`, { method: 'HEAD' });
  return headers.get('etag') ?? assert.fail('an entity-tag');
}

async function leasesOf({ origin }: Served): Promise<readonly Lease[]> {
  return ((await (await fetch(`${origin}/leases`)).json()) as { leases: readonly Lease[] }).leases;
}

async function referencesOf({ origin }: Served): Promise<number> {
  const { references } = (await (await fetch(`${origin}/references`)).json()) as { references: readonly unknown[] };
  return references.length;
}

async function endOf(child: Child): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code } = await child.exited;
  return { code, stdout: child.stdout(), stderr: child.stderr() };
}

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`on ${place} it waits for a reader in flight, who gets the old bytes, and writes the new ones`, {
    skip,
  }, async (t) => {
    const served = await serve(t, place, 32 * mebibyte);
    // From where the reader's socket has taken bytes: those that it has not are kept for the reader.
    const [first, content] = [5000, seededBytes(2 * mebibyte + 777, 232)];
    const before = await etagOf(served);
    const reader = await RawClient.connect(t, served.port);
    reader.get(`/regions/${served.file.name}`);
    assert.equal((await reader.head()).fields.get('etag'), before);
    const writing = startProgram(t, served, first, content);
    await until(() => hasWaitingWriter(served), 'the program waits for its lease');
    assert.deepEqual(await leasesOf(served), [], 'not granted while a reader has the pages');
    assert.ok((await referencesOf(served)) > 0);
    assert.equal(await reader.hash(served.old.length), sha256(served.old), 'the reader that had begun gets old bytes');
    const { code, stdout, stderr } = await endOf(writing);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^2097929 bytes written to model\.bin/);
    const expected = Buffer.concat([served.old.subarray(0, first), content]);
    const whole = Buffer.concat([expected, served.old.subarray(expected.length)]);
    assert.ok(bytesOf(served.file.path, 0, whole.length - 1).equals(whole), 'in the file, and nothing beside it');
    reader.get(`/regions/${served.file.name}`);
    const { fields } = await reader.head();
    assert.notEqual(fields.get('etag'), before);
    assert.equal(await reader.hash(whole.length), sha256(whole), 'and from the service');
    assert.deepEqual(await leasesOf(served), []);
  });
}

async function hasWaitingWriter({ origin }: Served): Promise<boolean> {
  return /^pagerelay_waiting_writers 1$/m.test(await (await fetch(`${origin}/metrics`)).text());
}

test('it asks again after Retry-After while another writer has the range', { skip }, async (t) => {
  const served = await serve(t, 'tmpfs', mebibyte);
  const asked = { region: served.file.name, first: 0, last: 4095, ttlSeconds: 300, owner: 'another' };
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${served.origin}/leases`, { method: 'POST', body: JSON.stringify(asked), headers });
  const { id } = (await answer.json()) as Lease;
  const refused = startLines(
    t,
    served,
    "lease.WAIT = lease.PATIENCE = 0; lease.overwrite(service, region, path, 5, b'new')",
  );
  assert.match((await endOf(refused)).stderr, /Refused: 409 .*range-busy/, 'without patience it gives up');
  const content = Buffer.from('new bytes');
  const patient = startLines(
    t,
    served,
    `
def sleep(seconds, sleep=time.sleep):
  print('after', seconds, flush=True)
  sleep(seconds)
time.sleep = sleep
lease.WAIT = 0
lease.overwrite(service, region, path, 7, b'new bytes')
`,
  );
  await until(() => patient.stdout().includes('after 1'), 'it was told 409', patient.stderr);
  assert.equal((await fetch(`${served.origin}/leases/${id}`, { method: 'DELETE' })).status, 204);
  const { code, stderr } = await endOf(patient);
  assert.equal(code, 0, stderr);
  assert.ok(bytesOf(served.file.path, 7, 15).equals(content));
  assert.ok(bytesOf(served.file.path, 0, 6).equals(served.old.subarray(0, 7)));
});

test('a lease that is kept outlives its time', { skip }, async (t) => {
  const served = await serve(t, 'tmpfs', mebibyte);
  const child = startLines(
    t,
    served,
    `
held = lease.Lease(service, region, 0, 4095, 2)
for _ in range(15):
  time.sleep(0.2)
  held.keep()
held.release()
print('released')
`,
  );
  const { code, stdout, stderr } = await endOf(child);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /released/);
});

test('when a lease has expired not one more byte is stored', { skip }, async (t) => {
  const served = await serve(t, 'tmpfs', 4 * mebibyte);
  const child = startLines(
    t,
    served,
    `
kept = lease.Lease.keep
def late(held):
  looks.append(held)
  if len(looks) == 2: time.sleep(1.5)
  kept(held)
looks = []
lease.Lease.keep = late
lease.overwrite(service, region, path, 0, bytes(3 << 20), 1)
`,
  );
  const { code, stderr } = await endOf(child);
  assert.equal(code, 1);
  assert.match(stderr, /LeaseLost: it could not be renewed: 404 .*lease-not-found/);
  assert.ok(bytesOf(served.file.path, 0, mebibyte - 1).equals(Buffer.alloc(mebibyte)), 'the first piece was in time');
  const rest = bytesOf(served.file.path, mebibyte, 4 * mebibyte - 1);
  assert.ok(rest.equals(served.old.subarray(mebibyte)), 'the others were not stored');
});

test('a file that is no longer the region’s is not written to', { skip }, async (t) => {
  const served = await serve(t, 'tmpfs', mebibyte);
  const other = writeRegion(makeFolder(t, 'tmpfs'), 'other.bin', mebibyte, 233);
  const child = startProgram(t, { ...served, file: { ...other, name: served.file.name } }, 0, Buffer.from('new'));
  const { code, stderr } = await endOf(child);
  assert.equal(code, 1);
  assert.match(stderr, /^not written: .* is not, or no longer, the file of model\.bin/);
  assert.ok(bytesOf(other.path, 0, 99).equals(seededBytes(mebibyte, 233).subarray(0, 100)));
  assert.deepEqual(await leasesOf(served), [], 'and the lease is given back');
});
