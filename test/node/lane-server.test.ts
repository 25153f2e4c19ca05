/** A server of Node's whose connections lanes accept and read: what it is to its owner, and when Node goes on to accept. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { giveToLanes, type LaneOptions } from '../../src/node/lane-server.ts';
import { NativeRelay } from '../../src/relay/native-relay.ts';
import { nothingCounted } from '../../src/relay/nothing-counted.ts';
import { openRelay } from '../../src/relay/open-relay.ts';
import { until } from '../support/poll.ts';
import { start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';

const options: LaneOptions = { guarded: false, combined: false, beforeTime: '', behindTime: '' };

/** Answers with what it was asked for. */
const echo: RequestListener = (request, response) => {
  request.setEncoding('utf8');
  let body = '';
  request.on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => response.end(`${request.method} ${request.url} ${body}`));
};

type Given = { readonly server: Server; readonly relay: NativeRelay; readonly port: number; readonly isGiven: boolean };

/** A server that listens, given to lanes. */
async function give(
  t: TestContext,
  prepare: (server: Server) => void = () => {},
  listener: RequestListener = echo,
): Promise<Given> {
  const relay = openRelay({ lanes: 1, maxHold: 10 });
  assert.ok(relay instanceof NativeRelay, 'the shim is built');
  const server = createServer(listener);
  t.after(async () => {
    server.close();
    relay.answers.handOverAll();
    await until(
      () => {
        server.closeAllConnections();
        return relay.counters().reading === 0;
      },
      'lanes read nothing',
      () => relay.counters(),
    );
    await relay.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  prepare(server);
  return {
    server,
    relay,
    port: (server.address() as AddressInfo).port,
    isGiven: giveToLanes(server, relay, options).length > 0,
  };
}

async function ask(client: RawClient, path: string): Promise<string> {
  client.get(path);
  return (await client.response()).body.toString();
}

test('requests on one connection are fed to Node one at a time, in their order, also those that come together', async (t) => {
  let [running, most] = [0, 0];
  const { relay, port, isGiven } = await give(
    t,
    () => {},
    (request, response) => {
      running++;
      most = Math.max(most, running);
      setImmediate(() => {
        running--;
        response.end(request.url);
      });
    },
  );
  assert.equal(isGiven, true);
  const client = await RawClient.connect(t, port);
  assert.equal(await ask(client, '/alone'), '/alone');
  const paths = Array.from({ length: 20 }, (_, at) => `/${at}`);
  client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
  for (const path of paths) assert.equal((await client.response()).body.toString(), path);
  const { acceptedConnections, fed, handedOver } = relay.counters();
  assert.deepEqual([acceptedConnections, fed.unpublished, handedOver.grammar, most], [1, 21, 0, 1]);
});

test('a request with a body, and all that follows it, is Node’s', async (t) => {
  const { relay, port } = await give(t);
  const client = await RawClient.connect(t, port);
  assert.equal(await ask(client, '/one'), 'GET /one ');
  client.write('POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET /three HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await client.response()).body.toString(), 'POST /two body');
  assert.equal((await client.response()).body.toString(), 'GET /three ');
  assert.equal(await ask(client, '/four'), 'GET /four ');
  const { fed, handedOver, reading } = relay.counters();
  assert.deepEqual([fed.unpublished, handedOver.grammar, reading], [1, 1, 0]);
});

test('the server goes on telling its address, and is asked for it in vain once it is closed', async (t) => {
  const { server, port } = await give(t);
  assert.deepEqual(server.address(), { address: '127.0.0.1', family: 'IPv4', port });
  server.close();
  await once(server, 'close');
  assert.equal(server.address(), null);
  assert.equal(server.listening, false);
});

test('a server that is closed accepts nobody, and waits for the connection that is answered', async (t) => {
  const answers: (() => void)[] = [];
  const { server, relay, port } = await give(
    t,
    () => {},
    (request, response) => void answers.push(() => response.end(request.url)),
  );
  const client = await RawClient.connect(t, port);
  client.get('/late');
  await until(() => answers.length === 1, 'Node answers');
  let isClosed = false;
  server.close(() => {
    isClosed = true;
  });
  relay.answers.handOverAll();
  await until(async () => (await connectionRefused(port)) === 'ECONNREFUSED', 'nobody can connect');
  assert.equal(isClosed, false);
  answers[0]?.();
  assert.equal((await client.response()).body.toString(), '/late');
  client.destroy();
  await until(() => isClosed, 'it is closed');
});

async function connectionRefused(port: number): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

test('connections are counted by the server as long as Node has anything to do with them', async (t) => {
  const { server, port } = await give(t);
  const count = () => new Promise<number>((resolve) => server.getConnections((_, connections) => resolve(connections)));
  const client = await RawClient.connect(t, port);
  assert.equal(await ask(client, '/'), 'GET / ');
  assert.equal(await count(), 1);
  client.destroy();
  await until(async () => (await count()) === 0, 'it is forgotten');
});

test('Node knows from where a client has asked that is gone before it is answered', async (t) => {
  const seen: (string | undefined)[] = [];
  const { port } = await give(
    t,
    () => {},
    ({ socket }) => void socket.once('close', () => seen.push(socket.remoteAddress)),
  );
  // A lane that finds the reset before the request tells Node nothing.
  await until(async () => {
    const client = await RawClient.connect(t, port);
    client.get('/');
    await until(() => client.socket.writableLength === 0, 'it is out');
    client.reset();
    return seen.length > 0;
  }, 'Node has seen its end');
  assert.equal(seen[0], '127.0.0.1');
});

const program = (last: string) => `
import { createServer } from 'node:http';
import { giveToLanes } from ${JSON.stringify(new URL('../../src/node/lane-server.ts', import.meta.url).href)};
import { openRelay } from ${JSON.stringify(new URL('../../src/relay/open-relay.ts', import.meta.url).href)};
const server = createServer((request, response) => response.end('here'));
server.listen(0, '127.0.0.1', () => {
  const relay = openRelay({ lanes: 1, maxHold: 10 });
  const isGiven = giveToLanes(server, relay, ${JSON.stringify(options)}).length > 0;
  ${last}
  console.log(isGiven + ' ' + server.address().port);
});
`;

test('a server that lanes accept for keeps its process alive', async (t) => {
  const child = start(t, process.execPath, ['--input-type=module', '--eval', program('')]);
  await until(() => child.stdout().includes('\n'), 'it listens', child.stderr);
  const [isGiven, port] = child.stdout().trim().split(' ');
  assert.equal(isGiven, 'true');
  for (let again = 0; again < 3; again++) assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'here');
  assert.equal(child.process.exitCode, null);
});

for (const [last, how] of [
  ['server.unref();', 'that is unref’d'],
  ['server.unref(); server.ref(); server.unref();', 'that is ref’d and unref’d'],
] as const) {
  test(`a server ${how} lets its process end`, async (t) => {
    const child = start(t, process.execPath, ['--input-type=module', '--eval', program(last)]);
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
    assert.match(child.stdout(), /^true [0-9]+\n$/);
  });
}

test('a server that is unref’d and ref’d keeps its process alive', async (t) => {
  const child = start(t, process.execPath, ['--input-type=module', '--eval', program('server.unref(); server.ref();')]);
  await until(() => child.stdout().includes('\n'), 'it listens', child.stderr);
  const port = child.stdout().trim().split(' ')[1];
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'here');
});

test('a server’s maxConnections is kept by lanes, which close the one that was idle longest', async (t) => {
  const { server, relay, port, isGiven } = await give(t, (server) => {
    server.maxConnections = 2;
  });
  assert.ok(isGiven);
  const clients: RawClient[] = [];
  for (let each = 0; each < 5; each++) {
    await until(async () => {
      // One for whom no room was made within 100 ms is refused.
      const client = await RawClient.connect(t, port);
      const answer = await ask(client, `/${each}`).catch(() => '');
      if (answer !== '') clients.push(client);
      return answer === `GET /${each} `;
    }, 'the newcomer is answered');
    await until(() => relay.counters().reading === each + 1 - relay.counters().limited.idle_closed, 'it is idle');
  }
  // Who takes long to close, on a busy machine, has another one asked for room.
  const { idle_closed: closed } = relay.counters().limited;
  assert.ok(closed === 3 || closed === 4, `${closed} were closed`);
  for (const client of clients.slice(0, closed)) assert.equal((await client.rest()).bytes, 0);
  for (const client of clients.slice(closed)) assert.equal(await ask(client, '/again'), 'GET /again ');
  assert.ok(server.listening);
});

test('a connection that Node was given for good, and is idle, makes room where lanes have none', async (t) => {
  const { relay, port } = await give(t, (server) => {
    server.maxConnections = 1;
  });
  const first = await RawClient.connect(t, port);
  first.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
  assert.equal((await first.response()).body.toString(), 'POST / hi');
  const second = await RawClient.connect(t, port);
  assert.equal(await ask(second, '/b'), 'GET /b ');
  assert.equal((await first.rest()).bytes, 0);
  assert.deepEqual(relay.counters().limited, nothingCounted.limited);
});

const left: Readonly<Record<string, (server: Server) => void>> = {
  'limits the requests of a connection': (server) => {
    server.maxRequestsPerSocket = 100;
  },
  'has a handle that tells no descriptor': (server) => {
    const { _handle } = server as unknown as { _handle: object };
    Object.defineProperty(_handle, 'fd', { value: undefined });
  },
};

for (const [what, prepare] of Object.entries(left)) {
  test(`of a server that ${what} Node goes on to accept the connections`, async (t) => {
    const { server, relay, port, isGiven } = await give(t, prepare);
    assert.equal(isGiven, false);
    const client = await RawClient.connect(t, port);
    for (const path of ['/one', '/two']) assert.equal(await ask(client, path), `GET ${path} `);
    assert.equal(relay.counters().acceptedConnections, 0);
    assert.equal(server.listening, true);
  });
}
