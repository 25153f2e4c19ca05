/** What Node does not document is tried at start, and said loudly where it is another way by now. */
import assert from 'node:assert/strict';
import type { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { canAnswerOneByOne } from '../../src/node/feature-test.ts';
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

// As a release would be that has renamed them.
const renamed = `
import { EventEmitter } from 'node:events';
const { listeners } = EventEmitter.prototype;
EventEmitter.prototype.listeners = function (event) {
  return listeners.call(this, event).map((listener) => Object.defineProperty(listener.bind(this), 'name', { value: 'another' }));
};
`;

test('a service on such a release serves, and logs an error when it starts', async (t) => {
  const preload = `data:text/javascript,${encodeURIComponent(renamed)}`;
  const service = startCli(t, ['serve', '--port', '0'], { NODE_OPTIONS: `--import=${preload}` });
  const origin = await originOf(service);
  const errors = service
    .stdout()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { level: number; msg: string; node?: string })
    .filter(({ level }) => level >= 50);
  assert.match(errors.map(({ msg }) => msg).join('\n'), /are not held back in this release of Node/);
  assert.equal(errors[0]?.node, process.version);
  assert.equal((await fetch(`${origin}/healthz`)).status, 200);
});

test('a service on this release logs no error when it starts', async (t) => {
  const service = startCli(t, ['serve', '--port', '0']);
  await originOf(service);
  assert.doesNotMatch(service.stdout(), /"level":50/);
});
