/** Who may read and write. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, writeRegion } from '../../support/regions.ts';
import { ask, type Change, overwriting } from '../../support/requests.ts';
import { startWritable, type Writable } from '../../support/writable.ts';

const path = '/regions/file.bin';
const json = { 'content-type': 'application/json' };
const lease = Buffer.from('{"region":"file.bin","first":0,"last":9,"ttlSeconds":0.05}');

const reading: readonly Change[] = [
  ...['/regions', path, '/references', '/metrics', '/leases'].map((path) => ({ method: 'GET', path })),
  { method: 'HEAD', path },
];
const writing: readonly Change[] = [
  { method: 'PUT', path: '/regions/made', body: Buffer.from('x') },
  overwriting(path, 0, Buffer.from('x'), 1),
  {
    method: 'PATCH',
    path,
    fields: { 'content-type': 'application/merge-patch+json' },
    body: Buffer.from('{"size":500}'),
  },
  { method: 'POST', path: '/leases', fields: json, body: lease },
  { method: 'PUT', path: '/leases/none', fields: json, body: Buffer.from('{"ttlSeconds":5}') },
  { method: 'DELETE', path: '/leases/none' },
  { method: 'DELETE', path: '/regions/made' },
];
const open: readonly Change[] = [
  { method: 'GET', path: '/healthz' },
  { method: 'GET', path: '/readyz' },
  { method: 'OPTIONS', path },
];

type Tokens = { read?: string; write?: string };

async function startGuarded(t: TestContext, { read, write }: Tokens): Promise<Writable & { tokens: string }> {
  const tokens = makeFolder(t, 'tmpfs');
  const fileOf = (name: string, token: string | undefined) => {
    if (token === undefined) return undefined;
    writeFileSync(join(tokens, name), `${token}\n`);
    return join(tokens, name);
  };
  const readTokenFile = fileOf('read', read);
  const running = await startWritable(t, 'tmpfs', { readTokenFile, writeTokenFile: fileOf('write', write) });
  writeRegion(running.dir, 'file.bin', 1000, 1);
  return { ...running, tokens };
}

function bearing(request: Change, token: string | undefined): Change {
  return token === undefined
    ? request
    : { ...request, fields: { ...request.fields, authorization: `Bearer ${token}` } };
}

async function askAs(t: TestContext, running: Writable, request: Change, token?: string) {
  const client = await RawClient.connect(t, running.port);
  ask(client, bearing(request, token));
  return client.response(request.method).finally(() => client.destroy());
}

async function checkWhoMay(
  t: TestContext,
  running: Writable,
  requests: readonly Change[],
  who: Readonly<Record<string, boolean>>,
): Promise<void> {
  for (const request of requests) {
    for (const [token, may] of Object.entries(who)) {
      const answer = await askAs(t, running, request, token === 'nobody' ? undefined : token);
      const told = `${request.method} ${request.path} by ${token}: ${answer.status}`;
      if (may) {
        assert.ok(answer.status < 300 || answer.status === 404, told);
        continue;
      }
      assert.equal(answer.status, 401, told);
      const challenge = answer.fields.get('www-authenticate') ?? '';
      assert.match(challenge, token === 'nobody' ? /^Bearer realm="[^"]+"$/ : /^Bearer .*error="invalid_token"/, told);
    }
  }
}

test('with both tokens a reader reads, a writer reads and writes, and nobody else does', async (t) => {
  const running = await startGuarded(t, { read: 'reader', write: 'writer' });
  await checkWhoMay(t, running, writing, { nobody: false, other: false, reader: false, writer: true });
  await checkWhoMay(t, running, reading, { nobody: false, other: false, reader: true, writer: true });
  await checkWhoMay(t, running, open, { nobody: true, other: true });
});

test('with a write token alone everybody reads', async (t) => {
  const running = await startGuarded(t, { write: 'writer' });
  await checkWhoMay(t, running, writing, { nobody: false, other: false, writer: true });
  await checkWhoMay(t, running, [...reading, ...open], { nobody: true, writer: true });
});

test('with a read token alone nobody writes without it', async (t) => {
  const running = await startGuarded(t, { read: 'reader' });
  await checkWhoMay(t, running, [...reading, ...writing], { nobody: false, other: false, reader: true });
});

test('a body is not asked for from who may not write', async (t) => {
  const running = await startGuarded(t, { write: 'writer' });
  const client = await RawClient.connect(t, running.port);
  client.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
  assert.equal((await client.response()).status, 401);
  client.destroy();
});

test('a token file that changes lets the new token in, and the old one no more', async (t) => {
  const running = await startGuarded(t, { read: 'reader', write: 'first' });
  const putBy = (token: string) => askAs(t, running, { method: 'PUT', path, body: Buffer.from(token) }, token);
  assert.equal((await putBy('first')).status, 204);
  writeFileSync(join(running.tokens, 'next'), '# rotated\nsecond\n');
  renameSync(join(running.tokens, 'next'), join(running.tokens, 'write'));
  await until(async () => (await putBy('second')).status === 204, 'the new one is accepted');
  assert.equal((await putBy('first')).status, 401);
  writeFileSync(join(running.tokens, 'write'), 'no token, for there are spaces\n');
  await until(async () => (await putBy('second')).status === 401, 'of a file that is broken nobody is let in');
  assert.equal((await askAs(t, running, { method: 'GET', path }, 'reader')).status, 200);
});
