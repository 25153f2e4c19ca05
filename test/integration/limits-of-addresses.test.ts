/** What one address may have and ask, in lanes and in Node: what it gets beyond, and that other addresses are served. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ServiceOptions } from '../../src/service.ts';
import { until } from '../support/poll.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const whoAccepts = { lanes: true, Node: false } as const;

/** Each is a client of its own. */
const [greedy, modest] = ['127.0.0.2', '127.0.0.3'];

async function serve(t: TestContext, options: Partial<ServiceOptions>): Promise<Running> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 65_536, 271);
  return startService(t, { lanes: 2, regions: [file], cors: ['*'], ...options });
}

function visit(t: TestContext, { port }: Running, from: string): Promise<RawClient> {
  return RawClient.connect(t, port, '127.0.0.1', from);
}

async function askRange(client: RawClient): Promise<number> {
  client.get('/regions/file.bin', '5-104');
  const { status, body } = await client.response();
  if (status !== 429) assert.deepEqual([status, body.length], [206, 100]);
  return status;
}

function limitedIn({ service }: Running): Record<string, number> {
  const { metrics, relay } = service.app.pagerelay;
  return { ...metrics.limited(relay.counters()) };
}

/** All clients leave, and nothing is held for them. */
async function leave({ service }: Running, clients: readonly RawClient[]): Promise<void> {
  for (const client of clients) client.destroy();
  const isQuiet = () => {
    const { connections, references, heldBytes } = service.relay.counters();
    return connections === 0 && references === 0 && heldBytes === 0;
  };
  await until(isQuiet, 'all is given back', () => service.relay.counters());
}

for (const [who, express] of Object.entries(whoAccepts)) {
  const where = `where ${who} accept${express ? '' : 's'}`;

  test(`an address may have so many connections, and others have theirs, ${where}`, async (t) => {
    const running = await serve(t, { express, maxConnectionsPerAddress: 3 });
    const clients: RawClient[] = [];
    for (let each = 0; each < 3; each++) clients.push(await visit(t, running, greedy));
    for (const client of clients) assert.equal(await askRange(client), 206);
    for (let each = 0; each < 5; each++) {
      const refused = await visit(t, running, greedy);
      const { status, fields } = await refused.head();
      const told = ['retry-after', 'content-length', 'connection'].map((name) => fields.get(name));
      assert.deepEqual([status, ...told], [429, '1', '0', 'close']);
      assert.equal((await refused.rest()).bytes, 0);
      const other = await visit(t, running, modest);
      assert.equal(await askRange(other), 206);
      other.destroy();
    }
    assert.equal(limitedIn(running).connections_per_address, 5);
    for (const client of clients) assert.equal(await askRange(client), 206); // Idle ones stay.
    clients.pop()?.destroy();
    await until(async () => {
      const next = await visit(t, running, greedy);
      clients.push(next);
      return (await askRange(next)) === 206;
    }, 'there is room for another one');
    await leave(running, clients);
  });

  test(`an address may ask so often, however many connections it has, and others ask, ${where}`, async (t) => {
    const running = await serve(t, { express, requestsPerSecond: 1, requestBurst: 20 });
    const began = performance.now();
    const clients: RawClient[] = [];
    let answered = 0;
    for (let each = 0; each < 4; each++) {
      const client = await visit(t, running, greedy);
      clients.push(client);
      for (let asked = 0; asked < 30; asked++) if ((await askRange(client)) === 206) answered++;
      const other = await visit(t, running, modest);
      assert.equal(await askRange(other), 206);
      clients.push(other);
    }
    // A lane may have some in advance: then these are not with the others.
    const since = Math.ceil((performance.now() - began) / 1000) + 1;
    assert.ok(answered >= 15 && answered <= 20 + since, `${answered} answered in ${since} s`);
    assert.equal(limitedIn(running).requests_per_second, 120 - answered);
    await leave(running, clients);
  });

  test(`who asks too often gets a problem, or nothing where it wants a range, ${where}`, async (t) => {
    const running = await serve(t, { express, requestsPerSecond: 1, requestBurst: 1 });
    const client = await visit(t, running, greedy);
    const seen: RawResponse[] = [];
    for (const [method, path, field] of asked) {
      // A second may pass between two requests on a busy machine: then it is answered.
      await until(async () => {
        client.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${field}\r\n`);
        const response = await client.response(method);
        if (response.status === 429) seen.push(response);
        return response.status === 429;
      }, `${method} ${path} is too often`);
    }
    const shown = seen.map(({ fields, body }) => ({
      fields: [...fields].filter(([name]) => name !== 'date'),
      body: body.toString(),
    }));
    assert.deepEqual(shown, asked.map(expected));
    await leave(running, [client]);
  });
}

const asked = [
  ['GET', '/regions/file.bin', 'Range: bytes=0-9\r\n'],
  ['GET', '/regions/file.bin', ''],
  ['GET', '/nowhere?a="\\', 'Origin: https://app.example\r\n'],
  ['HEAD', '/regions/file.bin', ''],
  ['DELETE', '/regions/file.bin', ''],
] as const;

const document = JSON.stringify({
  type: 'urn:pagerelay:problem:too-many-requests',
  title: 'This client asks more often than it may.',
  status: 429,
  code: 'too-many-requests',
});

function expected([method, , field]: (typeof asked)[number]) {
  const body = field.startsWith('Range') ? '' : document;
  const type = body === '' ? [] : [['content-type', 'application/problem+json']];
  return {
    fields: [
      ['retry-after', '1'],
      ...type,
      ['content-length', `${body.length}`],
      ['connection', 'keep-alive'],
      ['keep-alive', 'timeout=72'],
    ],
    body: method === 'HEAD' ? '' : body,
  };
}
