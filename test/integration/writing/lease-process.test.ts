/** A process of its own that writes to a region through its own mmap, under a lease. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lease } from '../../../src/region/change/leases.ts';
import { until } from '../../support/poll.ts';
import { originOf, start, startCli } from '../../support/process.ts';
import { seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { makeTree, read, send } from '../../support/writable.ts';

const size = 200_000;
const old = seededBytes(size, 1);
const fields = { 'content-type': 'application/json' };

/** A process that maps the file of a lease, and writes to it when it is told to. */
const mapper = `
import mmap, os, sys
path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, 'r+b') as file, mmap.mmap(file.fileno(), 0) as pages:
    print('mapped', flush=True)
    for line in sys.stdin:
        pages[first:last + 1] = line.strip().encode() * (last + 1 - first)
        print('written', flush=True)
`;

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`what a process writes through its own mmap is what readers get, on ${place}`, async (t) => {
    const { dir, scope } = makeTree(t, place);
    writeRegion(dir, 'file.bin', size, 1);
    const service = startCli(scope, ['serve', '--dir', dir, '--writable', '--port', '0', '--log-level', 'error']);
    const running = { port: Number(new URL(await originOf(service)).port) };
    const expected = Buffer.from(old);
    const tags = new Set([(await read(t, running, 'file.bin')).etag]);
    const [first, last] = [5000, 40_000];
    const child = start(scope, 'python3', ['-I', '-c', mapper, `${dir}/file.bin`, String(first), String(last)]);
    await until(() => child.stdout().includes('mapped'), 'it has mapped the file', child.stderr);
    for (const [turn, letter] of ['a', 'b', 'c'].entries()) {
      const body = Buffer.from(JSON.stringify({ region: 'file.bin', first, last, ttlSeconds: 60 }));
      const made = await send(t, running, { method: 'POST', path: '/leases', fields, body });
      const lease = JSON.parse(made.body.toString()) as Lease;
      assert.equal(lease.path, `${dir}/file.bin`);
      child.process.stdin.write(`${letter}\n`);
      await until(() => child.stdout().match(/written/g)?.length === turn + 1, 'it has written');
      assert.equal((await send(t, running, { method: 'DELETE', path: `/leases/${lease.id}` })).status, 204);
      expected.fill(letter, first, last + 1);
      const found = await read(t, running, 'file.bin');
      assert.equal(found.sha256, sha256(expected));
      tags.add(found.etag);
    }
    assert.equal(tags.size, 4, 'each has an entity-tag of its own');
    child.process.stdin.end();
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
}
