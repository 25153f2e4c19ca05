/** System calls that fail cost the one request that they failed for, and nothing else. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { before, type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import type { ServiceOptions } from '../../src/service.ts';
import { amount, isLong } from '../support/amount.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { outcomesOf, referencesOf, untilReturned, warmUp } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { type Running, startService as start } from '../support/service.ts';
import { setFault } from '../support/testing-shim.ts';
import { warmProcess } from '../support/warm-process.ts';

const { EAGAIN, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPIPE } = constants.errno;
const size = 3_000_000;
const content = seededBytes(size, 121);

// Of what lanes do by themselves, from accepting on, native-shim/test/{doors,responder-faults}.c has each call fail.
const startService = (t: TestContext, options: Partial<ServiceOptions>) => start(t, { express: false, ...options });

type Fault = { readonly call: string; readonly errno: number; readonly skip?: number; readonly engine?: Engine };

type Answer =
  | { readonly kind: 'whole' }
  | {
      readonly kind: 'problem';
      readonly status: number;
      readonly code: string;
      readonly retryAfter: string | undefined;
    }
  | { readonly kind: 'broken off'; readonly got: number };

async function ask(t: TestContext, { port }: Running): Promise<Answer> {
  const client = await RawClient.connect(t, port);
  client.get('/regions/file.bin');
  try {
    const head = await client.head();
    const length = Number(head.fields.get('content-length'));
    const body = await client.take(length);
    if (head.status !== 200) return problemOf(head.status, body, head.fields.get('retry-after'));
    assert.equal(sha256(body), sha256(content));
    return { kind: 'whole' };
  } catch (error) {
    if (!(error instanceof EndedEarly)) throw error;
    const { bytes } = await client.rest();
    return { kind: 'broken off', got: bytes };
  } finally {
    client.destroy();
  }
}

function problemOf(status: number, body: Buffer, retryAfter: string | undefined): Answer {
  const { code } = JSON.parse(body.toString()) as { code: string };
  return { kind: 'problem', status, code, retryAfter };
}

async function withFault<Result>({ call, errno, skip = 0 }: Fault, act: () => Promise<Result>): Promise<Result> {
  setFault(call, errno, skip, 1);
  try {
    return await act();
  } finally {
    setFault(call, 0, 0, 0);
  }
}

function makeFile(t: TestContext): RegionFile {
  return writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 121);
}

/** The fault hits one request; the next, on another connection, is right, and nothing stays behind. */
async function hits(t: TestContext, fault: Fault, check: (answer: Answer, running: Running) => void): Promise<void> {
  const beforeService = countOpen();
  const running = await startService(t, { engine: fault.engine ?? 'sendfile', regions: [makeFile(t)] });
  // Without a warm-up of the connection's own kind: the first of everything is what fails.
  const answer = await withFault(fault, () => ask(t, running));
  check(answer, running);
  assert.deepEqual(await ask(t, running), { kind: 'whole' }, 'the next request is right');
  const open = await warmUp(t, running, 'file.bin');
  await withFault(fault, () => ask(t, running));
  await untilReturned(running, open);
  assert.deepEqual(await ask(t, running), { kind: 'whole' }, 'and so is the one after another fault');
  await running.close();
  await untilClosed(beforeService);
}

before(warmProcess);

const busy: Answer = { kind: 'problem', status: 503, code: 'busy', retryAfter: '1' };

const shortages: readonly Fault[] = [
  { call: 'dup', errno: EMFILE },
  { call: 'dup', errno: ENFILE },
  { call: 'pipe', errno: EMFILE, engine: 'splice' },
  { call: 'pipe', errno: ENFILE, engine: 'splice' },
];

for (const fault of shortages) {
  const { call, errno, engine = 'sendfile' } = fault;
  test(`${call} that fails with ${errno} is 503 for that request alone, by ${engine}`, (t) =>
    hits(t, fault, (answer) => assert.deepEqual(answer, busy)));
}

const failures: readonly Fault[] = [
  { call: 'sendfile', errno: EIO },
  { call: 'sendfile', errno: EIO, skip: 1 },
  { call: 'sendfile', errno: EIO, skip: 4 },
  { call: 'sendfile', errno: ENOSPC, skip: 2 },
  { call: 'splice', errno: EIO, skip: 1, engine: 'splice' },
  { call: 'splice', errno: ENOMEM, skip: 4, engine: 'splice' },
  { call: 'splice', errno: EIO, engine: 'splice' },
  { call: 'splice', errno: ENOSPC, skip: 3, engine: 'splice' },
  { call: 'send', errno: EIO, engine: 'copy' }, // the head
  { call: 'send', errno: EIO, skip: 1, engine: 'copy' },
  { call: 'send', errno: ENOBUFS, skip: 3, engine: 'copy' },
  { call: 'epoll_ctl', errno: ENOSPC },
  { call: 'epoll_ctl', errno: ENOMEM, engine: 'splice' },
];

for (const fault of failures) {
  const { call, errno, skip = 0, engine = 'sendfile' } = fault;
  test(`${call} ${skip} that fails with ${errno} breaks off that body alone, by ${engine}`, (t) =>
    hits(t, fault, (answer, running) => {
      assert.equal(answer.kind, 'broken off');
      assert.deepEqual(outcomesOf(running.service), { failed: 1 });
    }));
}

const goneClients: readonly Fault[] = [
  { call: 'sendfile', errno: EPIPE, skip: 2 },
  { call: 'splice', errno: EPIPE, engine: 'splice' },
  { call: 'send', errno: EPIPE, skip: 1, engine: 'copy' },
];

for (const fault of goneClients) {
  test(`${fault.call} that finds the client gone is counted as aborted`, (t) =>
    hits(t, fault, (answer, running) => {
      assert.equal(answer.kind, 'broken off');
      assert.deepEqual(outcomesOf(running.service), { aborted: 1 });
    }));
}

const passing: readonly Fault[] = [
  { call: 'sendfile', errno: EINTR, skip: 1 },
  { call: 'splice', errno: EINTR, engine: 'splice' },
  { call: 'send', errno: EINTR, engine: 'copy' },
  { call: 'open', errno: EINTR },
  { call: 'open', errno: EAGAIN },
  { call: 'diag', errno: ENOBUFS },
];

for (const fault of passing) {
  const { call, errno, engine = 'sendfile' } = fault;
  test(`${call} that fails with ${errno} for a moment is not noticed, by ${engine}`, (t) =>
    hits(t, fault, (answer) => assert.deepEqual(answer, { kind: 'whole' })));
}

test('memory that is short anywhere on a request’s way is 503 or not noticed', async (t) => {
  for (const [at, engine] of (['sendfile', 'splice', 'copy', 'stream'] as const).entries()) {
    for (let skip = isLong ? 0 : at; skip < 8; skip += amount(4, 1)) {
      await t.test(`allocation ${skip} by ${engine}`, (t) =>
        hits(t, { call: 'allocate', errno: ENOMEM, skip, engine }, (answer) =>
          assert.deepEqual(answer, answer.kind === 'whole' ? answer : busy),
        ),
      );
    }
  }
});

test('a file that can not be opened after it was found is 503 for that request alone', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const running = await startService(t, { dir: folder });
  writeRegion(folder, 'file.bin', size, 121);
  const opens = countOpen();
  for (const errno of [EMFILE, ENFILE, ENOMEM]) {
    const fault = { call: 'open', errno, skip: 1 };
    assert.deepEqual(await withFault(fault, () => ask(t, running)), busy, JSON.stringify(fault));
    await untilReturned(running, opens);
  }
  assert.deepEqual(await ask(t, running), { kind: 'whole' });
});

test('a file that can not be looked at is an error for that request alone', async (t) => {
  const running = await startService(t, { engine: 'splice', regions: [makeFile(t)] });
  assert.deepEqual(await ask(t, running), { kind: 'whole' });
  for (let skip = 0; skip < 5; skip++) {
    const answer = await withFault({ call: 'fstat', errno: EIO, skip }, () => ask(t, running));
    assert.notEqual(answer.kind, 'whole', `look ${skip}`);
    assert.deepEqual(await ask(t, running), { kind: 'whole' });
  }
  await until(async () => (await referencesOf(running)).length === 0, 'all references go');
});

test('after a 503 the same connection goes on', async (t) => {
  const running = await startService(t, { regions: [makeFile(t)] });
  const client = await RawClient.connect(t, running.port);
  for (const expected of [503, 206]) {
    if (expected === 503) setFault('dup', EMFILE, 0, 1);
    client.get('/regions/file.bin', '5-9');
    const { status, body } = await client.response();
    assert.equal(status, expected);
    if (status === 206) assert.ok(body.equals(content.subarray(5, 10)));
  }
});

test('while nobody can be asked, nothing is let go', async (t) => {
  const running = await startService(t, { regions: [makeFile(t)] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin', '0-9999');
  await until(() => outcomesOf(running.service).complete === 1, 'it is accepted');
  setFault('diag', EIO, 0, 1_000_000);
  await client.response();
  for (let look = 0; look < 3; look++) assert.equal((await referencesOf(running))[0]?.state, 'sent');
  setFault('diag', 0, 0, 0);
  await until(async () => (await referencesOf(running)).length === 0, 'it goes once somebody can be asked');
});

test('/references is 503 when memory is short', async (t) => {
  const running = await startService(t, { regions: [makeFile(t)] });
  const answer = await withFault({ call: 'allocate', errno: ENOMEM }, () =>
    running.service.app.inject({ url: '/references' }),
  );
  assert.deepEqual([answer.statusCode, (answer.json() as { code: string }).code], [503, 'busy']);
  assert.equal((await running.service.app.inject({ url: '/references' })).statusCode, 200);
});
