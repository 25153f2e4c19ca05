import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { boundSilence } from '../../src/node/deadlines.ts';

const announcing = (socket: object) => ({ socket, complete: false, once() {} }) as unknown as IncomingMessage;

test('a body that brings no byte is told of once, and one of inject(), which has no connection, is not watched', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let told = 0;
  boundSilence(announcing(new Socket()), 8, () => told++);
  boundSilence(announcing({ bytesRead: 0 }), 8, () => assert.fail());
  t.mock.timers.tick(60_000);
  assert.equal(told, 1);
});
