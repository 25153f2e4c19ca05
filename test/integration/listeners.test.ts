/** Where a service listens: at several places at once, by sockets that it has inherited, and by network devices. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeNamespaces, namespacesMissing } from '../support/namespaces.ts';
import { until } from '../support/poll.ts';
import { type Child, cliCommand, start, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, writeRegion } from '../support/regions.ts';

const inherit = fileURLToPath(new URL('../support/inherit.py', import.meta.url));
const listening = /^pagerelay listens on (\S+)(?: \(admin\))?$/gm;

function makeRegion(t: TestContext): { readonly folder: string; readonly file: RegionFile; readonly flags: string[] } {
  const folder = makeFolder(t, 'tmpfs');
  const file = writeRegion(folder, 'file.bin', 300_000, 77);
  return { folder, file, flags: ['--region', `file.bin=${file.path}`, '--drain', '5'] };
}

/** Runs a service with sockets of these kinds, which it inherits. */
function serveInheriting(t: TestContext, kinds: readonly string[], flags: readonly string[]): Child {
  return start(t, 'python3', [inherit, ...kinds, '--', ...cliCommand(['serve', ...flags])]);
}

/** Where it says that it listens, in its order. */
async function placesOf(child: Child, count: number): Promise<string[]> {
  const found = () => [...child.stderr().matchAll(listening)].map(([, place = '']) => place);
  await until(
    () => found().length >= count,
    'it says where it listens',
    () => child.stderr(),
  );
  return found();
}

function clientOf(t: TestContext, place: string): Promise<RawClient> {
  const [where = ''] = place.split(',');
  if (where.startsWith('unix:')) return RawClient.connect(t, where.slice(5));
  const { hostname, port } = new URL(where);
  return RawClient.connect(t, Number(port), hostname.replace(/[[\]]/g, ''));
}

async function statusOf(t: TestContext, place: string, path: string, host = 'localhost'): Promise<number> {
  const client = await clientOf(t, place);
  client.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const { status } = await client.response();
  client.destroy();
  return status;
}

test('a service listens at all places that it is told, inherited ones too, and lanes answer at each', async (t) => {
  const { folder, file, flags } = makeRegion(t);
  const [inherited, own] = [join(folder, 'inherited.sock'), join(folder, 'own.sock')];
  const places = ['fd:{1}', '127.0.0.1:0', '[::1]:0,node=0', `unix:${own}`, 'fd:{0}'];
  const asked = places.flatMap((place) => ['--listen', place]);
  const child = serveInheriting(t, ['tcp', `unix:${inherited}`], [...asked, ...flags, '--access-log', 'off']);
  const found = await placesOf(child, places.length);
  assert.equal(found.length, places.length, child.stderr());
  assert.deepEqual([found[0], found[3]], [`unix:${inherited}`, `unix:${own}`]);
  assert.match(found[2] ?? '', /^http:\/\/\[::1\]:\d+,node=0$/);
  for (const place of found) {
    const client = await clientOf(t, place);
    for (let round = 0; round < 3; round++) {
      client.get('/regions/file.bin', '1000-1999');
      const { status, body } = await client.response();
      assert.equal(status, 206);
      assert.ok(body.equals(bytesOf(file.path, 1000, 1999)), place);
    }
    client.get('/metrics');
    const lanes = /^pagerelay_express_requests_total (\d+)$/m.exec((await client.response()).body.toString());
    client.destroy();
    assert.ok(Number(lanes?.[1]) >= found.indexOf(place) + 1, `a lane answers at ${place}`);
  }
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  assert.deepEqual([existsSync(own), existsSync(inherited)], [false, true], 'it removes what it has made');
});

test('what the loopback guards is not let pass because another listener has let it', async (t) => {
  const { folder, flags } = makeRegion(t);
  const path = join(folder, 'own.sock');
  const child = startCli(t, ['serve', '--listen', '127.0.0.1:0', '--listen', `unix:${path}`, ...flags]);
  const [loopback = '', unix = ''] = await placesOf(child, 2);
  for (let round = 0; round < 3; round++) {
    assert.equal(await statusOf(t, unix, '/regions/file.bin', 'outer.example'), 200);
    assert.equal(await statusOf(t, loopback, '/regions/file.bin', 'outer.example'), 421);
    assert.equal(await statusOf(t, loopback, '/regions/file.bin'), 200);
  }
});

test('with admin listeners the others serve regions and health alone, by lanes and Node alike', async (t) => {
  const { folder, file, flags } = makeRegion(t);
  const admin = join(folder, 'admin.sock');
  const args = ['serve', '--listen', '127.0.0.1:0', '--listen', '127.0.0.1:0', '--admin-listen', `unix:${admin}`];
  const child = startCli(t, [...args, ...flags, '--dir', makeFolder(t, 'tmpfs'), '--writable']);
  const [one = '', other = '', watched] = await placesOf(child, 3);
  assert.equal(watched, `unix:${admin}`);
  assert.match(child.stderr(), new RegExp(`^pagerelay listens on unix:${admin} \\(admin\\)$`, 'm'));
  const hidden = [
    '/',
    '/metrics',
    '/references',
    '/leases',
    '/openapi.json',
    '/page/live',
    '/page/page.css',
    '/nothing',
  ];
  for (const place of [one, other]) {
    for (const path of ['/regions', '/regions/file.bin', '/healthz', '/readyz'])
      assert.equal(await statusOf(t, place, path), 200);
    for (const path of hidden) {
      const client = await clientOf(t, place);
      client.get(path);
      const { status, fields, body } = await client.response();
      assert.deepEqual([status, fields.get('content-type')], [404, 'application/problem+json'], path);
      assert.equal(JSON.parse(body.toString()).code, 'route-not-found');
      // It says no more about an address that there is elsewhere than about one that there is nowhere.
      client.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`);
      const posted = await client.response();
      assert.deepEqual([posted.status, posted.fields.get('allow')], [404, undefined], path);
      client.get('/regions/file.bin', '5-104');
      assert.ok((await client.response()).body.equals(bytesOf(file.path, 5, 104)), 'a lane reads on');
      client.destroy();
    }
  }
  for (const path of [
    '/',
    '/metrics',
    '/references',
    '/leases',
    '/openapi.json',
    '/regions',
    '/regions/file.bin',
    '/readyz',
  ])
    assert.equal(await statusOf(t, `unix:${admin}`, path), 200, path);
  assert.equal(await statusOf(t, `unix:${admin}`, '/nothing'), 404);
});

test("no spelling of an address, no method and no token opens at a public listener what is an admin one's", async (t) => {
  const { folder, flags } = makeRegion(t);
  const [tokens, admin] = [join(folder, 'tokens'), join(folder, 'admin.sock')];
  writeFileSync(tokens, 'secret\n');
  const args = ['serve', '--listen', '127.0.0.1:0', '--admin-listen', `unix:${admin}`, '--read-token-file', tokens];
  const [place = ''] = await placesOf(startCli(t, [...args, ...flags]), 2);
  const authorized = 'Authorization: Bearer secret\r\n';
  const ask = async (where: string, line: string, fields = '') => {
    const client = await clientOf(t, where);
    client.write(`${line} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`);
    const { status } = await client.head();
    client.destroy();
    return status;
  };
  const hidden = [
    '/metrics',
    '/%6detrics',
    '/metrics?a=b',
    '/references',
    '/page/live',
    '/leases/1',
    'http://localhost/metrics',
    '/',
  ];
  for (const path of hidden) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
      assert.equal(await ask(place, `${method} ${path}`), 404, `${method} ${path}`);
      assert.equal(await ask(place, `${method} ${path}`, authorized), 404, `${method} ${path}, with a token`);
    }
  }
  for (const [where, line, without] of [
    [place, 'GET /regions/file.bin', 401],
    [`unix:${admin}`, 'GET /metrics', 401],
    [`unix:${admin}`, 'HEAD /%6detrics', 401],
    [`unix:${admin}`, 'GET /regions/file.bin', 401],
    [place, 'GET /readyz', 200],
  ] as const) {
    assert.equal(await ask(where, line), without, line);
    assert.equal(await ask(where, line, authorized), 200, `${line}, with a token`);
  }
});

test('without the shim a service listens by inherited sockets too, and refuses what does not listen', async (t) => {
  const { folder, flags } = makeRegion(t);
  const path = join(folder, 'inherited.sock');
  const portable = { PAGERELAY_PORTABLE: '1' };
  const args = (places: readonly string[]) =>
    cliCommand(['serve', ...places.flatMap((each) => ['--listen', each]), ...flags]);
  const child = start(t, 'python3', [inherit, `unix:${path}`, 'tcp', '--', ...args(['fd:{0}', 'fd:{1}'])], portable);
  const [, tcp = ''] = await placesOf(child, 2);
  for (const place of [`unix:${path}`, tcp]) assert.equal(await statusOf(t, place, '/regions/file.bin'), 200, place);
  const bound = start(t, 'python3', [inherit, 'bound', '--', ...args(['fd:{0}'])], portable);
  assert.equal((await bound.exited).code, 2);
  assert.match(bound.stderr(), /^pagerelay: --listen fd:\d+: it must be a stream socket/m);
});

test('where one place can not be had, it ends with 1, says which, and leaves no socket', async (t) => {
  const { folder, flags } = makeRegion(t);
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await until(() => taken.listening, 'it is taken');
  const port = (taken.address() as { port: number }).port;
  const path = join(folder, 'own.sock');
  for (const order of [
    [`unix:${path}`, `127.0.0.1:${port}`],
    [`127.0.0.1:${port}`, `unix:${path}`],
  ]) {
    const child = startCli(t, ['serve', ...order.flatMap((place) => ['--listen', place]), ...flags]);
    assert.equal((await child.exited).code, 1);
    assert.match(child.stderr(), new RegExp(`^pagerelay: listen EADDRINUSE: .*127\\.0\\.0\\.1:${port}$`, 'm'));
    assert.equal(existsSync(path), false);
  }
});

test('a descriptor that is no listening stream socket is a usage error, and so is a network device that is none', async (t) => {
  const { flags } = makeRegion(t);
  for (const place of ['fd:{0}', 'fd:999']) {
    const child = serveInheriting(t, ['bound'], ['--listen', place, ...flags]);
    assert.equal((await child.exited).code, 2, place);
    assert.match(
      child.stderr(),
      /^pagerelay: --listen fd:\d+: it must be a stream socket that was inherited, and listens$/m,
    );
  }
  const child = startCli(t, ['serve', '--listen', '127.0.0.1:0,device=nowhere', ...flags]);
  assert.equal((await child.exited).code, 1);
  const far = startCli(t, ['serve', '--listen', '127.0.0.1:0,node=999', ...flags]);
  assert.equal((await far.exited).code, 1);
  assert.match(far.stderr(), /^pagerelay: listen at 127\.0\.0\.1:0,node=999: no lane sits on NUMA node 999, but on 0/m);
  assert.match(child.stderr(), /^pagerelay: listen by nowhere at 127\.0\.0\.1:0: ENODEV$/m);
});

test('two listeners have one port, each of a network device of its own, and who comes by another is refused', {
  skip: namespacesMissing(),
}, async (t) => {
  const { flags } = makeRegion(t);
  const { server, client } = await makeNamespaces(t);
  const serve = (places: readonly string[]) => {
    const args = cliCommand(['serve', ...places.flatMap((place) => ['--listen', place]), ...flags]);
    return start(t, 'ip', ['netns', 'exec', server.name, ...args]);
  };
  const asks = (from: typeof client, url: string) =>
    from.run('curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', url).catch((error: { code: number }) => error.code);
  const both = serve(['0.0.0.0:9000,device=cable', '0.0.0.0:9000,device=lo', '127.0.0.1:9001,device=cable']);
  assert.deepEqual(await placesOf(both, 3), [
    'http://0.0.0.0:9000,device=cable',
    'http://0.0.0.0:9000,device=lo',
    'http://127.0.0.1:9001,device=cable',
  ]);
  for (let round = 0; round < 2; round++) {
    assert.equal(await asks(client, `http://${server.address}:9000/regions/file.bin`), '200');
    assert.equal(await asks(server, 'http://127.0.0.1:9000/regions/file.bin'), '200');
  }
  const byName = (from: typeof client, url: string) =>
    from.run('curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Host: evil.example', url);
  assert.equal(await byName(client, `http://${server.address}:9000/regions/file.bin`), '200');
  assert.equal(
    await byName(server, 'http://127.0.0.1:9000/regions/file.bin'),
    '421',
    'the loopback is guarded by its device',
  );
  const refused = 7; // curl: it could not connect
  assert.equal(await asks(server, 'http://127.0.0.1:9001/regions/file.bin'), refused, 'the loopback is another device');
});
