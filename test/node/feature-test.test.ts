/** What Node does not document is tried at start, and said loudly where it is another way by now. */
import assert from 'node:assert/strict';
import type { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import {
  canAcceptInLanes,
  canAnswerOneByOne,
  canMarkAnswering,
  canSendNatively,
  canTakeHeads,
} from '../../src/node/feature-test.ts';
import { isKnownHandle, isKnownListener } from '../../src/node/internals.ts';
import { until } from '../support/poll.ts';
import { originOf, startCli } from '../support/process.ts';

test('this release of Node lets requests of a connection be held back', () => {
  assert.equal(canAnswerOneByOne(), true);
});

test('a release that gives its listeners other names is found out', () => {
  const server = createServer();
  server.prependListener('connection', (socket: EventEmitter) => {
    const { on } = socket;
    socket.on = (event, listener) => on.call(socket, event, (...values) => listener.apply(socket, values));
  });
  assert.equal(canAnswerOneByOne(server), false);
});

test('this release lets the head of a response be sent by others', () => {
  assert.equal(canTakeHeads(), true);
});

test('a release that writes heads by another mark is found out', () => {
  const server = createServer();
  server.prependListener('request', (_, response) => {
    const { end } = response;
    response.end = (...given: unknown[]) => {
      Object.assign(response, { _headerSent: false });
      return Reflect.apply(end, response, given);
    };
  });
  assert.equal(canTakeHeads(server), false);
});

test('a release whose sockets do not know their response is found out', () => {
  const server = createServer();
  server.prependListener('request', (_, response) => {
    Object.defineProperty(response.socket, '_httpMessage', { value: null, writable: true });
  });
  assert.equal(canTakeHeads(server), false);
});

test('this release leaves connections open on which a lane answers', () => {
  assert.equal(canMarkAnswering(), true);
});

test('a release that closes them with those that are idle is found out', () => {
  const server = createServer();
  server.closeIdleConnections = () => server.closeAllConnections();
  assert.equal(canMarkAnswering(server), false);
});

test('this release has sockets to send on natively, and servers for lanes to accept for', () => {
  assert.deepEqual([canSendNatively(), canAcceptInLanes()], [true, true]);
});

const method = () => 0;
const socketHandle = { fd: 5, writeQueueSize: 0, reading: false, readStart: method, readStop: method };
const listener = { fd: 5, getsockname: method, close: method, ref: method, unref: method, hasRef: method };

for (const [kind, handle, isKnown] of [
  ['socket', socketHandle, isKnownHandle],
  ['listening', listener, isKnownListener],
] as const) {
  test(`a ${kind} handle is known by all that is used of one`, () => {
    assert.equal(isKnown(handle), true);
    for (const name of Object.keys(handle)) assert.equal(isKnown({ ...handle, [name]: undefined }), false, name);
    for (const none of [null, undefined]) assert.equal(isKnown(none), false);
  });
}

// As a release would be that has renamed them.
const renamed = `
import { EventEmitter } from 'node:events';
const { listeners } = EventEmitter.prototype;
EventEmitter.prototype.listeners = function (event) {
  return listeners.call(this, event).map((listener) => Object.defineProperty(listener.bind(this), 'name', { value: 'another' }));
};
`;

const withoutFinal = "import { Socket } from 'node:net'; delete Socket.prototype._final;";

for (const [kind, change, expected] of [
  ['has renamed its listeners', renamed, /are not held back in this release of Node/],
  ['ends sockets in another way', withoutFinal, /every byte is copied/],
] as const) {
  test(`a service on a release that ${kind} serves, and logs an error when it starts`, async (t) => {
    const preload = `data:text/javascript,${encodeURIComponent(change)}`;
    const service = startCli(t, ['serve', '--port', '0'], { NODE_OPTIONS: `--import=${preload}` });
    const origin = await originOf(service);
    const errors = () => {
      const lines = service.stdout().split('\n').slice(0, -1);
      return lines
        .map((line) => JSON.parse(line) as { level: number; msg: string; node?: string })
        .filter(({ level }) => level >= 50);
    };
    await until(() => errors().some(({ msg }) => expected.test(msg)), 'it is logged', service.stdout);
    assert.equal(errors()[0]?.node, process.version);
    const answer = await fetch(`${origin}/regions/demo`, { headers: { range: 'bytes=0-99' } });
    assert.deepEqual([answer.status, (await answer.bytes()).length], [206, 100]);
    const metrics = await (await fetch(`${origin}/metrics`)).text();
    assert.equal(/^pagerelay_sent_bytes_total\{engine="stream"\} 100$/m.test(metrics), change === withoutFinal);
  });
}

test('a service on this release logs no error when it starts', async (t) => {
  const service = startCli(t, ['serve', '--port', '0']);
  await originOf(service);
  assert.doesNotMatch(service.stdout(), /"level":50/);
});
