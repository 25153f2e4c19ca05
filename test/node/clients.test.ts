/** Which client an address is, and that few are remembered, however many come. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { TrustedProxies } from '../../src/http/guard/trusted-proxies.ts';
import { settleLimits } from '../../src/limits/limits.ts';
import { Clients, clientKeyOf } from '../../src/node/clients.ts';

/** Two addresses, and whether they are one client. */
const pairs: readonly (readonly [string, string, boolean])[] = [
  ['2001:db8:1:2::1', '2001:db8:1:2:ffff::7', true],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['2001:db8::1', '2001:db8::1:2:3:4', true],
  ['::2', '::3', true],
  ['192.0.2.1', '192.0.2.1', true],
  ['192.0.2.1', '192.0.2.2', false],
  ['192.0.2.1', '::ffff:192.0.2.1', true],
  ['fe80::1%eth0', 'fe80::2%eth0', false],
  ['febf::1', 'febf::2', false],
];

for (const [one, other, areOne] of pairs) {
  test(`${one} and ${other} are ${areOne ? 'one client' : 'two clients'}`, () => {
    assert.equal(clientKeyOf(one).name === clientKeyOf(other).name, areOne);
  });
}

test('clients on the loopback and a unix socket are of this machine, others are not', () => {
  for (const here of ['127.0.0.1', '127.9.8.7', '::1', '::ffff:127.0.0.1', undefined])
    assert.ok(clientKeyOf(here).isHere, here);
  for (const there of ['128.0.0.1', '::2', '::1.2.3.4', '2001:db8::1', '::ffff:10.0.0.1'])
    assert.ok(!clientKeyOf(there).isHere, there);
});

function socketFrom(remoteAddress: string): Socket {
  return Object.assign(new EventEmitter(), { remoteAddress }) as unknown as Socket;
}

function requestOn(socket: Socket): IncomingMessage {
  return { socket, method: 'GET' } as IncomingMessage;
}

test('by default clients from elsewhere are limited, and those of this machine are not', () => {
  const clients = new Clients(settleLimits({}), () => {});
  const arrivedOf300 = (address: string) =>
    Array.from({ length: 300 }, () => clients.arrived(socketFrom(address))).filter(Boolean).length;
  assert.equal(arrivedOf300('192.0.2.1'), 256);
  assert.equal(arrivedOf300('127.0.0.1'), 300);
});

test('a trusted proxy is no client', () => {
  const limits = settleLimits({ maxConnectionsPerAddress: 1, requestsPerSecond: 1, requestBurst: 1 });
  const proxies = new TrustedProxies([{ address: '192.0.2.1', prefix: 32, family: 'ipv4' }]);
  const clients = new Clients(limits, () => assert.fail('it is not limited'), proxies);
  for (let each = 0; each < 5; each++) {
    const socket = socketFrom('192.0.2.1');
    assert.ok(clients.arrived(socket) && clients.mayAsk({ ...requestOn(socket), headers: {} } as IncomingMessage));
  }
  assert.equal(clients.size, 0);
});

test('however many addresses come, few are remembered, and none that could ask as if it were new', () => {
  const clients = new Clients(settleLimits({ requestsPerSecond: 1, requestBurst: 3600 }), () => {});
  for (let each = 0; each < 20_000; each++) {
    const socket = socketFrom(`2001:db8:${(each >> 16).toString(16)}:${(each & 0xffff).toString(16)}::1`);
    assert.ok(clients.arrived(socket));
    for (let asked = 0; asked < 60; asked++) assert.ok(clients.mayAsk(requestOn(socket)));
    socket.emit('close');
  }
  assert.equal(clients.size, 16_384);
});

test('who has asked for nothing is forgotten with its last connection', () => {
  const clients = new Clients(settleLimits({}), () => {});
  const [one, other] = [socketFrom('192.0.2.1'), socketFrom('192.0.2.1')];
  for (const socket of [one, other]) clients.arrived(socket);
  one.emit('close');
  assert.equal(clients.size, 1);
  other.emit('close');
  assert.equal(clients.size, 0);
});

test('a client that comes again has what it had left', () => {
  const reasons: string[] = [];
  const clients = new Clients(settleLimits({ requestsPerSecond: 1, requestBurst: 50 }), (reason) =>
    reasons.push(reason),
  );
  const began = performance.now();
  let answered = 0;
  for (let visit = 0; visit < 10; visit++) {
    const socket = socketFrom('192.0.2.1');
    clients.arrived(socket);
    for (let asked = 0; asked < 10; asked++) if (clients.mayAsk(requestOn(socket))) answered++;
    socket.emit('close');
  }
  assert.ok(answered >= 50 && answered <= 51 + (performance.now() - began) / 1000, `${answered}`);
  assert.deepEqual(reasons, Array(100 - answered).fill('requests_per_second'));
});
