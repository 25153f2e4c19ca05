import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyBaseLogger } from 'fastify';
import { logAnswer } from '../../src/observe/access-log.ts';

test('the line of a lane’s answer says what was sent, when it ended, and which request granted it', () => {
  const lines: [Record<string, unknown>, string][] = [];
  const logger = { info: (fields: Record<string, unknown>, message: string) => lines.push([fields, message]) };
  const about = { url: '/regions/a?b', remoteAddress: '192.0.2.1', requestId: 'req-7' };
  const sent = { bytes: 100, engine: 'splice', outcome: 'complete', code: undefined } as const;
  const before = Date.now();
  logAnswer(logger as unknown as FastifyBaseLogger, about, {
    offset: 7,
    length: 100,
    took: 0.0123456,
    ago: 0.25,
    ...sent,
  });
  const after = Date.now();
  const [fields, message] = lines[0] ?? assert.fail('a line');
  const { endedAt, ...rest } = fields;
  assert.equal(message, 'express');
  assert.deepEqual(rest, {
    method: 'GET',
    url: '/regions/a?b',
    range: '7-106',
    remoteAddress: '192.0.2.1',
    milliseconds: 12.346,
    grantedBy: 'req-7',
    ...sent,
  });
  assert.ok(Number(endedAt) >= before - 251 && Number(endedAt) <= after - 249, `${endedAt}`);
});
