/** By which hosts a service on the loopback answers: a page can have a name of its own lead here. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { answersOf, connectToLane } from '../support/lane-answers.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';
import { refusalIn } from '../support/writable.ts';

const path = '/regions/file.bin';
const size = 1000;
const foreign = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '', '2130706433'];

/** One request on a connection of its own. */
async function ask(t: TestContext, { port }: Pick<Running, 'port'>, method: string, address: string, fields: string) {
  const client = await RawClient.connect(t, port);
  client.write(`${method} ${address} ${fields}Content-Length: 0\r\n\r\n`);
  return client.response(method).finally(() => client.destroy());
}

function by(host: string): string {
  return `HTTP/1.1\r\nHost: ${host}\r\n`;
}

async function start(t: TestContext, options: Parameters<typeof startService>[1] = {}): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file.bin', size, 1);
  return startService(t, { dir, drain: 0, ...options });
}

for (const writable of [false, true]) {
  const kind = writable ? 'a writable service' : 'a service that only reads';
  test(`${kind} on the loopback answers to names of the loopback alone`, async (t) => {
    const running = await start(t, { writable });
    for (const host of [
      'localhost',
      'LOCALHOST',
      '127.0.0.1',
      `127.0.0.1:${running.port}`,
      '[::1]:80',
      'a.localhost',
    ]) {
      assert.equal((await ask(t, running, 'GET', path, by(host))).status, 200, host);
    }
    const asked = [
      ['GET', path],
      ['GET', '/regions'],
      ['GET', '/metrics'],
      ['GET', '/'],
      ...(writable ? (['PUT', 'DELETE'] as const).map((method) => [method, path] as const) : []),
    ] as const;
    for (const host of foreign) {
      for (const [method, address] of asked) {
        const answer = await ask(t, running, method, address, by(host));
        assert.deepEqual(refusalIn(answer), [421, 'misdirected'], `${method} ${address} by ${host}`);
        const { detail } = JSON.parse(answer.body.toString()) as { detail: string };
        assert.match(detail, /--allow-host NAME/);
      }
    }
    assert.equal((await ask(t, running, 'GET', path, by('localhost'))).body.length, size);
  });

  test(`${kind} answers probes by any host, and those without one`, async (t) => {
    const running = await start(t, { writable });
    for (const address of ['/healthz', '/readyz']) {
      for (const host of foreign) {
        assert.equal((await ask(t, running, 'GET', address, by(host))).status, 200, `${address} by ${host}`);
      }
    }
    for (const address of ['/healthz', '/readyz', path]) {
      assert.equal((await ask(t, running, 'GET', address, 'HTTP/1.0\r\n')).status, 200, address);
    }
    assert.equal((await ask(t, running, 'GET', path, 'HTTP/1.1\r\n')).status, 400, 'HTTP/1.1 has a host');
    const old = await ask(t, running, 'GET', path, 'HTTP/1.0\r\nHost: evil.example\r\n');
    assert.deepEqual(refusalIn(old), [421, 'misdirected']);
  });
}

test('hosts that are allowed are answered, and others are not', async (t) => {
  const running = await start(t, { allowHosts: ['files.example', 'other.example:8080'] });
  for (const host of ['files.example', 'FILES.example:1234', 'other.example:8080', 'localhost']) {
    assert.equal((await ask(t, running, 'GET', path, by(host))).status, 200, host);
  }
  for (const host of [...foreign, 'other.example', 'a.files.example']) {
    assert.equal((await ask(t, running, 'GET', path, by(host))).status, 421, host);
  }
  const open = await start(t, { allowHosts: ['*'] });
  for (const host of foreign) assert.equal((await ask(t, open, 'GET', path, by(host))).status, 200, host);
});

test('what lanes answer by themselves is for the host that was judged alone', async (t) => {
  const running = await start(t, { express: true });
  const client = await connectToLane(t, running, { path });
  const answers = answersOf(running);
  const range = 'Range: bytes=0-9\r\n';
  for (const host of foreign) {
    const fields = `${by(host)}${range}\r\n`;
    client.write(`GET ${path} ${fields}`);
    assert.equal((await client.response()).status, 421, `${host}, on the connection that a lane has answered on`);
    const other = await RawClient.connect(t, running.port);
    for (let again = 0; again < 5; again++) {
      other.write(`GET ${path} ${fields}`);
      assert.equal((await other.response()).status, 421, `${host}, on a new one`);
    }
    other.destroy();
  }
  assert.equal(answersOf(running), answers, 'no lane has answered any of it');
  client.get(path, '0-9');
  assert.equal((await client.response()).status, 206);
});
