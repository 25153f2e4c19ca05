import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { createService } from '../../../src/service.ts';
import { serviceDefaults } from '../../support/service.ts';

async function started(t: TestContext) {
  const service = createService({ ...serviceDefaults, maxHold: 10 });
  t.after(() => service.close());
  await service.app.listen({ port: 0, host: '127.0.0.1' });
  return service;
}

test('an unknown address is a problem document', async (t) => {
  const { app } = await started(t);
  const answer = await app.inject('/nowhere');
  assert.equal(answer.statusCode, 404);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  assert.equal(answer.json().code, 'route-not-found');
});

test('a name that is no percent-encoding is a 404, not a 500', async (t) => {
  const { app } = await started(t);
  assert.equal((await app.inject('/regions/%zz')).statusCode, 404);
});

const unparsable = [
  ['no request at all', 'nonsense\r\n\r\n', 400, 'bad-request'],
  [
    'Content-Length twice',
    'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    400,
    'bad-request',
  ],
  [
    'a head of 20 KiB',
    `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers-too-large',
  ],
] as const;

for (const [what, request, status, code] of unparsable) {
  test(`${what}: ${status} as a problem document with a Date, and the connection closes`, async (t) => {
    const { app } = await started(t);
    const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
    await once(client, 'connect');
    client.write(request);
    const answer = await text(client);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(answer, /\r\ndate: .* GMT\r\n/);
    assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).code, code);
  });
}
