/** Errors of sendRegion and of the routes, as an application and its clients see them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FastifyError, FastifyInstance } from 'fastify';
import { ProblemError } from '../../src/http/problem/problems.ts';
import { startApp } from '../support/app.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';

const size = 10_000;

async function start(t: TestContext, build: (app: FastifyInstance) => unknown = () => {}): Promise<FastifyInstance> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', size, 81);
  const { app } = await startApp(t, { dir }, async (app) => {
    await build(app);
    app.get<{ Params: { '*': string } }>('/mine/*', (request, reply) => reply.sendRegion(request.params['*']));
  });
  return app;
}

type Case = {
  readonly name?: string;
  readonly fields?: Record<string, string>;
  readonly code: string;
  readonly status: number;
  readonly headers?: Record<string, string>;
};

const cases: Record<string, Case> = {
  'a region that is not there': { name: 'none', code: 'region-not-found', status: 404 },
  'a name that is none': { name: '.hidden', code: 'region-not-found', status: 404 },
  'a name that leads out of the tree': { name: '../../etc/passwd', code: 'region-not-found', status: 404 },
  'a range beyond the end': {
    fields: { range: `bytes=${size}-` },
    code: 'range-not-satisfiable',
    status: 416,
    headers: { 'content-range': `bytes */${size}` },
  },
  'a precondition that fails': { fields: { 'if-match': '"other"' }, code: 'precondition-failed', status: 412 },
};

for (const [what, { name = 'model.bin', fields = {}, code, status, headers = {} }] of Object.entries(cases)) {
  const ask = (app: FastifyInstance, path: string) =>
    app.inject({ url: `${path}/${encodeURIComponent(name)}`, headers: fields });
  const checkHeaders = (answer: Awaited<ReturnType<typeof ask>>) => {
    for (const [field, value] of Object.entries(headers)) assert.equal(answer.headers[field], value, field);
  };

  test(`the application's error handler sees ${what}`, async (t) => {
    const seen: FastifyError[] = [];
    const app = await start(t, (app) => {
      app.setErrorHandler((error: FastifyError, _, reply) => {
        seen.push(error);
        return reply.code(error.statusCode ?? 500).send({ mine: error.code });
      });
    });
    const answer = await ask(app, '/mine');
    assert.deepEqual([answer.statusCode, answer.json()], [status, { mine: code }]);
    const [error] = seen;
    assert.ok(error instanceof ProblemError);
    assert.deepEqual([error.code, error.statusCode, error.name], [code, status, 'ProblemError']);
    for (const [field, value] of Object.entries(headers)) assert.equal(error.headers[field], value);
  });

  test(`the default error handler answers ${what} by its status and fields`, async (t) => {
    const answer = await ask(await start(t), '/mine');
    assert.equal(answer.statusCode, status);
    assert.equal((answer.json() as { code: string }).code, code);
    checkHeaders(answer);
  });

  test(`the routes of pagerelay answer ${what} by a problem document`, async (t) => {
    const answer = await ask(await start(t), '/regions');
    assert.equal(answer.statusCode, status);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal((answer.json() as { code: string }).code, code);
    checkHeaders(answer);
  });
}

test('the routes refuse other methods and say which they answer', async (t) => {
  const app = await start(t);
  for (const url of ['/regions/model.bin', '/regions', '/references', '/metrics']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'] as const) {
      const { statusCode, headers } = await app.inject({ method, url });
      assert.deepEqual([statusCode, headers.allow], [405, 'GET, HEAD, OPTIONS'], `${method} ${url}`);
    }
    const { statusCode, headers } = await app.inject({ method: 'OPTIONS', url });
    assert.deepEqual([statusCode, headers.allow], [204, 'GET, HEAD, OPTIONS'], url);
  }
});

test("the application's own routes and errors are left alone", async (t) => {
  const app = await start(t, (app) => {
    app.get('/fails', async () => {
      throw Object.assign(new Error('mine'), { statusCode: 418 });
    });
    app.post('/things', async () => 'made');
  });
  const failed = await app.inject({ url: '/fails' });
  assert.deepEqual([failed.statusCode, (failed.json() as { message: string }).message], [418, 'mine']);
  assert.equal((await app.inject({ method: 'POST', url: '/things' })).body, 'made');
  const none = await app.inject({ url: '/none' });
  assert.match(none.headers['content-type']?.toString() ?? '', /^application\/json/);
});

test('an error may be answered by another region', async (t) => {
  const app = await start(t, (app) => {
    app.setErrorHandler((_, __, reply) => reply.sendRegion('model.bin'));
  });
  const { statusCode, rawPayload } = await app.inject({ url: '/mine/none' });
  assert.deepEqual([statusCode, rawPayload.length], [200, size]);
});

test('an error after the first bytes breaks the response off', async (t) => {
  const app = await start(t, (app) => {
    app.addHook('onSend', async (request, _, payload) => {
      const stream = payload as NodeJS.ReadableStream & { destroy?(error: Error): void };
      if (request.url.includes('breaks')) stream.once('data', () => stream.destroy?.(new Error('broken')));
      return payload;
    });
  });
  await assert.rejects(async () => app.inject({ url: '/regions/model.bin?breaks' }));
  assert.equal(app.pagerelay.relay.counters().references, 0);
});
