import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ProblemCode,
  ProblemError,
  problemContentType,
  problemDocument,
  problems,
} from '../../../src/http/problem/problems.ts';

const statuses: Readonly<Record<ProblemCode, number>> = {
  'bad-request': 400,
  'bad-name': 400,
  'bad-query': 400,
  'bad-range': 400,
  'digest-malformed': 400,
  'digest-mismatch': 400,
  unauthorized: 401,
  'region-forbidden': 403,
  'route-not-found': 404,
  'region-not-found': 404,
  'lease-not-found': 404,
  'method-not-allowed': 405,
  'request-timeout': 408,
  'name-conflict': 409,
  'range-busy': 409,
  'precondition-failed': 412,
  'payload-too-large': 413,
  'uri-too-long': 414,
  'unsupported-media-type': 415,
  'range-not-satisfiable': 416,
  'expectation-failed': 417,
  misdirected: 421,
  'too-many-requests': 429,
  'headers-too-large': 431,
  internal: 500,
  busy: 503,
  overloaded: 503,
  draining: 503,
  starting: 503,
  'other-writer': 503,
  'tree-moved': 503,
  'region-leased': 503,
  'region-unstable': 503,
  'http-version-not-supported': 505,
  'no-space': 507,
};

test('codes and their statuses are stable', () => {
  const actual = Object.fromEntries(Object.entries(problems).map(([code, { status }]) => [code, status]));
  assert.deepEqual(actual, statuses);
});

test('every title is one sentence', () => {
  for (const { title } of Object.values(problems)) assert.match(title, /^[A-Z][^.]+\.$/);
});

test('a problem is sent as its own media type (RFC 9457 3)', () => {
  assert.equal(problemContentType, 'application/problem+json');
});

test('a document has type, title, status and code (RFC 9457 3.1)', () => {
  assert.deepEqual(problemDocument('region-not-found'), {
    type: 'urn:pagerelay:problem:region-not-found',
    title: 'There is no region of this name.',
    status: 404,
    code: 'region-not-found',
  });
});

test('a document shows detail and instance when there are any (RFC 9457 3.1.4, 3.1.5)', () => {
  const { detail, instance } = problemDocument('internal', 'The disk is gone.', '/regions/a');
  assert.deepEqual({ detail, instance }, { detail: 'The disk is gone.', instance: '/regions/a' });
});

test('an error carries code, status, detail and cause', () => {
  const cause = new Error('EMFILE');
  const error = new ProblemError('region-forbidden', { detail: 'Not readable.', cause });
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'ProblemError');
  assert.equal(error.code, 'region-forbidden');
  assert.equal(error.status, 403);
  assert.equal(error.message, 'Not readable.');
  assert.equal(error.detail, 'Not readable.');
  assert.equal(error.cause, cause);
});

test('an error without detail has its title for a message and no cause', () => {
  const error = new ProblemError('internal');
  assert.equal(error.message, problems.internal.title);
  assert.equal(error.detail, undefined);
  assert.equal('cause' in error, false);
});

test('every 503 has a Retry-After, and the thrower may give a better one (RFC 9110 10.2.3)', () => {
  for (const code of ['busy', 'draining', 'region-unstable'] as const) {
    assert.match(new ProblemError(code).headers['retry-after'] ?? '', /^[1-9][0-9]*$/);
  }
  assert.deepEqual(new ProblemError('busy', { headers: { 'Retry-After': '7' } }).headers, {
    'retry-after': '7',
  });
});

test('other errors have only the fields that they were given, names in lower case', () => {
  assert.deepEqual(new ProblemError('internal').headers, {});
  const headers = { 'Content-Range': 'bytes */11' };
  assert.deepEqual(new ProblemError('range-not-satisfiable', { headers }).headers, {
    'content-range': 'bytes */11',
  });
});
