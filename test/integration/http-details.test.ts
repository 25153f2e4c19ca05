/** What HTTP asks of every server, byte by byte: methods, targets, Host, framing, fields. */
import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { type TestContext, test } from 'node:test';
import { problems } from '../../src/http/problem/problems.ts';
import { connectToLane } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, type Head, RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256OfFile, writeRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';
import { suiteScope } from '../support/suite-scope.ts';

const size = 5000;
const content = seededBytes(size, 1);
const host = 'Host: localhost\r\n';
const region = 'GET /regions/x.bin HTTP/1.1\r\n';

/** A request that is answered in a way no other here is. */
const marker = `GET /healthz HTTP/1.1\r\n${host}\r\n`;

const suite = suiteScope();
let shared: Promise<Running> | undefined;

/** The service of all tests that look at nothing but what their own connections get. */
function start(): Promise<Running> {
  shared ??= startOwn(suite);
  return shared;
}

function startOwn(scope: Scope, allowHosts: readonly string[] = []): Promise<Running> {
  const folder = makeFolder(scope, 'tmpfs');
  writeRegion(folder, 'x.bin', size);
  writeRegion(folder, 'folder/y-_.z.bin', size);
  return startService(scope, { dir: folder, engine: 'sendfile', allowHosts });
}

/** Sends bytes and reads whole answers until there are `most`, or the connection has ended. */
async function ask(t: TestContext, { port }: Running, bytes: string, most = 1, method = 'GET'): Promise<RawResponse[]> {
  const client = await RawClient.connect(t, port);
  client.write(bytes);
  const answers: RawResponse[] = [];
  while (answers.length < most) {
    const answer = await next(client, answers.length === 0 ? method : 'GET');
    if (answer === undefined) break;
    answers.push(answer);
  }
  client.destroy();
  return answers;
}

async function next(client: RawClient, method: string): Promise<RawResponse | undefined> {
  try {
    const answer = await client.response(method);
    checkDate(answer);
    return answer;
  } catch (error) {
    if (error instanceof EndedEarly && error.got === 0) return undefined;
    throw error;
  }
}

async function askOnce(t: TestContext, running: Running, bytes: string, method = 'GET'): Promise<RawResponse> {
  const [answer] = await ask(t, running, bytes, 1, method);
  assert.ok(answer, `${JSON.stringify(bytes.slice(0, 80))} is answered`);
  return answer;
}

// RFC 9110 6.6.1, in the form of 5.6.7.
function checkDate({ status, fields }: Head): void {
  const date = fields.get('date') ?? '';
  assert.equal(new Date(date).toUTCString(), date, `Date of the ${status}`);
  assert.ok(Math.abs(Date.parse(date) - Date.now()) <= 2000, `${date} at ${new Date().toUTCString()}`);
}

function checkProblem({ status, fields, body }: RawResponse): void {
  assert.equal(fields.get('content-type'), 'application/problem+json', `Content-Type of the ${status}`);
  assert.equal(fields.get('content-length'), String(body.length));
  const problem = JSON.parse(body.toString()) as Record<string, unknown>;
  const { code } = problem as { code: keyof typeof problems };
  assert.equal(problems[code].status, status);
  assert.equal(problem.status, status);
  assert.deepEqual([problem.type, problem.title], [`urn:pagerelay:problem:${code}`, problems[code].title]);
}

/** The answer must be this error, the connection's last: nothing that follows is taken for a request. */
async function checkRefusedForGood(t: TestContext, running: Running, bytes: string, status = 400): Promise<void> {
  const answers = await ask(t, running, bytes + marker + marker, 5);
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [status],
  );
  for (const answer of answers) {
    checkProblem(answer);
    assert.equal(answer.fields.get('connection'), 'close');
  }
}

const routes = ['/regions/x.bin', '/regions/missing', '/regions', '/references', '/metrics', '/healthz', '/readyz'];
const answered = ['GET', 'HEAD', 'OPTIONS'];
// CONNECT has no path (RFC 9112 3.2.3).
const refused = METHODS.filter((method) => !answered.includes(method) && method !== 'CONNECT');

const bodies: Readonly<Record<string, string>> = {
  'no body': '\r\n',
  'a body': 'Content-Length: 3\r\n\r\nabc',
  'a body of JSON that is none': 'Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{x}',
  'a chunked body': 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  'a body that looks like a request': `Content-Length: ${marker.length}\r\n\r\n${marker}`,
};

async function checkMethodRefused(t: TestContext, running: Running, method: string, route: string): Promise<void> {
  for (const [what, body] of Object.entries(bodies)) {
    const [answer, after, more] = await ask(t, running, `${method} ${route} HTTP/1.1\r\n${host}${body}${marker}`, 2);
    assert.ok(answer, `${method} ${route} with ${what} is answered`);
    assert.equal(answer.status, 405, `${method} ${route} with ${what}`);
    assert.equal(answer.fields.get('allow'), 'GET, HEAD, OPTIONS');
    checkProblem(answer);
    assert.deepEqual([after?.status, after?.body.toString()], [200, '{"status":"ok"}'], 'the next request');
    assert.equal(more, undefined);
  }
}

for (const method of refused) {
  test(`${method} is answered by 405 with Allow on every route (RFC 9110 15.5.6)`, async (t) => {
    const running = await start();
    for (const route of routes) await checkMethodRefused(t, running, method, route);
  });
}

test('OPTIONS is answered by 204 with Allow on every route (RFC 9110 9.3.7)', async (t) => {
  const running = await start();
  for (const route of routes) {
    const [answer, after] = await ask(t, running, `OPTIONS ${route} HTTP/1.1\r\n${host}\r\n${marker}`, 2);
    assert.deepEqual([answer?.status, answer?.fields.get('allow')], [204, 'GET, HEAD, OPTIONS'], route);
    // RFC 9110 8.6: a 204 has no Content-Length.
    assert.equal(answer?.fields.get('content-length'), undefined);
    assert.equal(after?.status, 200);
  }
});

test('OPTIONS may have a body of any type (RFC 9110 9.3.7)', async (t) => {
  const running = await start();
  for (const [what, body] of Object.entries(bodies)) {
    const answers = await ask(t, running, `OPTIONS /regions/x.bin HTTP/1.1\r\n${host}${body}${marker}`, 2);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [204, 200],
      what,
    );
  }
});

test('CONNECT opens nothing (RFC 9110 9.3.6)', async (t) => {
  const running = await start();
  const answers = await ask(t, running, `CONNECT test:80 HTTP/1.1\r\n${host}\r\n${marker}`, 3);
  assert.ok(answers.length <= 1 && answers.every(({ status }) => status >= 400), 'no answer but a refusal');
});

const badHosts: Readonly<Record<string, string>> = {
  'no Host': '',
  'two Hosts': `${host}Host: other\r\n`,
  'two equal Hosts': host + host,
  'two Hosts in different case': `${host}hOST: test\r\n`,
  'a Host with a space': 'Host: a b\r\n',
  'a Host with a path': 'Host: test/regions\r\n',
  'a Host with user information': 'Host: user@test\r\n',
  'a Host that is a list': 'Host: a, b\r\n',
  'a Host with a port that is none': 'Host: test:http\r\n',
  'a Host with an open bracket': 'Host: [::1\r\n',
  'a Host with quotes': 'Host: "test"\r\n',
};

for (const [what, fields] of Object.entries(badHosts)) {
  test(`${what} is a 400, and the connection's end (RFC 9112 3.2)`, async (t) => {
    await checkRefusedForGood(t, await start(), `${region}${fields}\r\n`);
  });
}

test('every kind of host is taken (RFC 9110 7.2)', async (t) => {
  const running = await startOwn(t, ['*']);
  for (const value of ['test', 'test:', 'test:8080', '127.0.0.1:1', '[::1]', '[::1]:80', 'a.b-c_d~e', '', 'a%20b']) {
    assert.equal((await askOnce(t, running, `${region}Host: ${value}\r\n\r\n`)).status, 200, value);
  }
});

test('HTTP/1.0 needs no Host, and its connection ends (RFC 9112 3.2, 9.3)', async (t) => {
  const running = await start();
  const { port } = running;
  const client = await RawClient.connect(t, port);
  client.write('GET /regions/x.bin HTTP/1.0\r\nRange: bytes=1-3\r\n\r\n');
  const { status, version, body } = await client.response();
  assert.deepEqual([status, version], [206, '1.1']);
  assert.ok(body.equals(content.subarray(1, 4)));
  assert.equal((await client.rest()).bytes, 0);
  client.destroy();
  await checkRefusedForGood(t, running, `GET /regions/x.bin HTTP/1.0\r\n${host}${host}\r\n`);
});

const twice = {
  Authorization: ['Bearer a', 'Bearer b'],
  'Content-Type': ['text/plain', 'text/html'],
  'If-Modified-Since': ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 08:49:37 GMT'],
  'If-Range': ['"a"', '"b"'],
  'If-Unmodified-Since': ['Sun, 06 Nov 1994 08:49:37 GMT', 'Fri, 01 Jan 2100 00:00:00 GMT'],
};

for (const [name, [one, other]] of Object.entries(twice)) {
  test(`two ${name} fields are a 400, and the connection's end (RFC 9110 5.3)`, async (t) => {
    const running = await start();
    for (const target of ['/regions/x.bin', '/metrics', '/missing']) {
      const fields = `${name}: ${one}\r\n${name.toLowerCase()}: ${other}\r\n`;
      await checkRefusedForGood(t, running, `GET ${target} HTTP/1.1\r\n${host}${fields}\r\n`);
    }
  });
}

test('a field that may not be there twice is refused though a lane answers with one', async (t) => {
  const running = await start();
  const fields = 'Authorization: Bearer a\r\n';
  const client = await connectToLane(t, running, { path: '/regions/x.bin', fields });
  client.get('/regions/x.bin', '0-9', fields + fields);
  assert.equal((await client.response()).status, 400);
  client.destroy();
});

test('a version that is not HTTP/1.1 or HTTP/1.0 is a 505, none at all a 400, and the connection ends', async (t) => {
  const running = await start();
  for (const target of ['/regions/x.bin', '/metrics', '/missing', '/%zz']) {
    await checkRefusedForGood(t, running, `GET ${target} HTTP/2.0\r\n${host}\r\n`, target === '/%zz' ? 404 : 505);
    await checkRefusedForGood(t, running, `GET ${target}\r\n${host}\r\n`, target === '/%zz' ? 404 : 400);
  }
});

test('HTTP/1.0 with Transfer-Encoding is a 400, and the connection ends (RFC 9112 6.1)', async (t) => {
  const running = await start();
  const fields = `${host}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  for (const target of ['/regions/x.bin', '/metrics', '/missing', '/%zz']) {
    for (const method of ['GET', 'POST']) {
      const expected = target === '/%zz' ? 404 : 400;
      await checkRefusedForGood(t, running, `${method} ${target} HTTP/1.0\r\n${fields}`, expected);
    }
  }
});

const lastRequests: Readonly<Record<string, string>> = {
  'Connection: close': `${region}${host}Connection: close\r\n\r\n`,
  'HTTP/1.0': 'GET /regions/x.bin HTTP/1.0\r\n\r\n',
};

for (const [what, bytes] of Object.entries(lastRequests)) {
  test(`a request of ${what} is answered, and nothing that follows it (RFC 9112 9.6)`, async (t) => {
    const running = await start();
    for (const after of [marker, 'JUNK\r\n\r\n', 'x']) {
      const answers = await ask(t, running, bytes + after, 3);
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200],
        `followed by ${JSON.stringify(after)}`,
      );
      assert.ok(answers[0]?.body.equals(content));
    }
  });
}

const chunked = 'Transfer-Encoding: chunked\r\n';
/** Field lines and body whose end two receivers could see in different places. */
const ambiguous: Readonly<Record<string, string>> = {
  'Content-Length with Transfer-Encoding': `Content-Length: 3\r\n${chunked}\r\n0\r\n\r\n`,
  'Transfer-Encoding with Content-Length': `${chunked}Content-Length: 3\r\n\r\n0\r\n\r\n`,
  'two Content-Lengths': 'Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc',
  'a list of Content-Lengths': 'Content-Length: 3, 4\r\n\r\nabc',
  'a Content-Length with a sign': 'Content-Length: +3\r\n\r\nabc',
  'a negative Content-Length': 'Content-Length: -3\r\n\r\nabc',
  'a hexadecimal Content-Length': 'Content-Length: 0x3\r\n\r\nabc',
  'an empty Content-Length': 'Content-Length:\r\n\r\nabc',
  'a Content-Length above 2^64': 'Content-Length: 18446744073709551619\r\n\r\nabc',
  'a Content-Length with a space before the colon': 'Content-Length : 3\r\n\r\nabc',
  'a Transfer-Encoding that does not end with chunked': 'Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
  'a Transfer-Encoding that nobody knows': 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'a Transfer-Encoding of identity': 'Transfer-Encoding: identity\r\n\r\n',
  'chunked twice': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n',
  'a Transfer-Encoding with a vertical tab': 'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n',
  'a field line that is folded': 'X-Folded: one\r\n Content-Length: 3\r\n\r\nabc',
  'a field line without a colon': 'Content-Length\r\n\r\n',
  'a field with a bare CR': 'X: a\rContent-Length: 3\r\n\r\nabc',
  'a field with a NUL': 'X: a\0b\r\n\r\n',
  'a field that ends with LF': 'X: a\n\n',
};

for (const [what, fields] of Object.entries(ambiguous)) {
  test(`${what} is a 400, and the connection's end (RFC 9112 6.3, 11.2)`, async (t) => {
    const running = await start();
    for (const method of ['GET', 'POST']) {
      await t.test(`on ${method}`, (t) =>
        checkRefusedForGood(t, running, `${method} /regions/x.bin HTTP/1.1\r\n${host}${fields}`),
      );
    }
  });
}

const brokenChunks: Readonly<Record<string, string>> = {
  'a chunk size that is none': `xyz\r\nabc\r\n0\r\n\r\n`,
  'a negative chunk size': `-3\r\nabc\r\n0\r\n\r\n`,
  'a chunk size above 2^64': `10000000000000003\r\nabc\r\n0\r\n\r\n`,
  'a chunk size with 0x': `0x3\r\nabc\r\n0\r\n\r\n`,
  'a chunk longer than its size': `2\r\nabc\r\n0\r\n\r\n`,
  'a chunk that ends with LF': `3\r\nabc\n0\r\n\r\n`,
};

/** Statuses of all answers until the connection ends. */
async function statusesOf(t: TestContext, running: Running, bytes: string, method: string): Promise<number[]> {
  return (await ask(t, running, bytes, 5, method)).map(({ status }) => status);
}

for (const [what, body] of Object.entries(brokenChunks)) {
  test(`${what} is the connection's end, and nothing behind it is answered (RFC 9112 6.3, 7.1)`, async (t) => {
    const running = await startOwn(t);
    for (const [method, own] of [
      ['GET', 200],
      ['HEAD', 200],
      ['POST', 405],
    ] as const) {
      const head = `${method} /regions/x.bin HTTP/1.1\r\n${host}${chunked}\r\n`;
      // An answer that does not depend on the body may come before the body is read so far.
      const statuses = await statusesOf(t, running, head + body + marker + marker, method);
      assert.ok([`400`, `${own}`, `${own},400`].includes(statuses.join()), `${method}: ${statuses}`);
    }
    await until(() => running.service.relay.references().items.length === 0, 'nothing is held');
    assert.equal(await running.close(), true, 'nothing is left in flight');
  });

  test(`${what} that comes after the answer is the connection's end`, async (t) => {
    const { port } = await start();
    const client = await RawClient.connect(t, port);
    client.write(`${region}${host}${chunked}\r\n`);
    assert.equal((await client.response()).status, 200);
    client.write(body + marker + marker);
    const [answer, more] = [await next(client, 'GET'), await next(client, 'GET')];
    assert.ok(answer === undefined || answer.status === 400, `then ${answer?.status}`);
    assert.equal(more, undefined);
    client.destroy();
  });
}

const noRequests: Readonly<Record<string, string>> = {
  'a method in lower case': `get /regions/x.bin HTTP/1.1\r\n${host}\r\n`,
  'a method that nobody knows': `FETCH /regions/x.bin HTTP/1.1\r\n${host}\r\n`,
  'a version that is none': `GET /regions/x.bin HTTP/1.2\r\n${host}\r\n`,
  'a version without fields': `GET /regions/x.bin HTTP/0.9\r\n${host}\r\n`,
  'a target with a space': `GET /regions/x .bin HTTP/1.1\r\n${host}\r\n`,
  'a target with a NUL': `GET /regions/x\0.bin HTTP/1.1\r\n${host}\r\n`,
  'a ClientHello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  'a PROXY line': `PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n${region}${host}\r\n`,
  'only LF': 'GET /regions/x.bin HTTP/1.1\nHost: localhost\n\n',
};

for (const [what, bytes] of Object.entries(noRequests)) {
  test(`${what} is a 400, and the connection's end (RFC 9112 3)`, async (t) => {
    await checkRefusedForGood(t, await start(), bytes);
  });
}

test('what is no request after a request is never answered as one', async (t) => {
  const running = await start();
  for (const junk of ['JUNK\r\n\r\n', 'GET\r\n\r\n', `${region}${host}Content-Length: x\r\n\r\n`]) {
    const answers = await ask(t, running, `${region}${host}\r\n${junk}${marker}`, 4);
    const statuses = answers.map(({ status }) => status).join();
    assert.match(statuses, /^(200)?,?(400)?$/, `${JSON.stringify(junk)}: ${statuses}`);
    if (answers[0]?.status === 200) assert.ok(answers[0].body.equals(content));
  }
});

for (const engine of ['sendfile', 'stream'] as const) {
  test(`what is no request leaves the answer on its way whole, by ${engine}`, async (t) => {
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'large.bin', 30_000_000);
    const { port } = await startService(t, { engine, regions: [file] });
    const client = await RawClient.connect(t, port);
    client.get('/regions/large.bin');
    assert.equal((await client.head()).status, 200);
    client.write('JUNK\r\n\r\n');
    assert.equal(await client.hash(file.size), sha256OfFile(file.path, 0, file.size - 1));
    const last = await next(client, 'GET');
    assert.ok(last === undefined || last.status === 400, `then ${last?.status}`);
    assert.equal(await next(client, 'GET'), undefined);
    client.destroy();
  });
}

const targets: Readonly<Record<string, string>> = {
  'another host in absolute form': 'http://other.example/regions/x.bin',
  'another host and port in absolute form': 'http://other.example:8080/regions/x.bin?query',
  'absolute form with a scheme in capitals': 'HTTP://test/regions/x.bin',
  'absolute form of https': 'https://test/regions/x.bin',
  'an address in absolute form': 'http://[::1]:80/regions/x.bin',
  'a query': '/regions/x.bin?edition=2&bytes=0-9',
  'an empty query': '/regions/x.bin?',
  'a query that holds another path': '/regions/x.bin?/../../etc/passwd',
  'a query with a broken escape': '/regions/x.bin?%zz%',
  'escapes in a name': '/regions/%78%2ebin',
  'escapes in capitals and not': '/regions/x%2Ebin',
  'a path of folders': '/regions/folder/y-_.z.bin',
  'an escaped slash': '/regions/folder%2fy-_.z.bin',
  'an escaped dash and underscore': '/regions/folder/y%2D%5F.z.bin',
};

for (const [what, target] of Object.entries(targets)) {
  test(`a region is found by ${what}`, async (t) => {
    const running = await start();
    const answer = await askOnce(t, running, `GET ${target} HTTP/1.1\r\n${host}Range: bytes=7-4200\r\n\r\n`);
    assert.equal(answer.status, 206);
    assert.ok(answer.body.equals(content.subarray(7, 4201)));
  });
}

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
  test(`${method} with a Content-Type and no body is answered, and so is what comes behind it`, async (t) => {
    const running = await start();
    const client = await RawClient.connect(t, running.port);
    for (const path of ['/none', '/regions/x.bin', '/healthz']) {
      client.socket.write(`${method} ${path} HTTP/1.1\r\n${host}Content-Type: text/plain\r\n\r\n`);
      client.socket.write(`GET /healthz HTTP/1.1\r\n${host}\r\n`);
      assert.ok((await client.response(method)).status >= 400);
      assert.equal((await client.response()).status, 200);
    }
    client.destroy();
  });
}

const noTargets: Readonly<Record<string, string>> = {
  'an http URI without a host (RFC 9110 4.2.1)': 'http:///regions/x.bin',
  'an http URI with a port and no host (RFC 9110 4.2.1)': 'http://:80/regions/x.bin',
  'an absolute form of another scheme': 'ftp://test/regions/x.bin',
  'an absolute form of a path without its slash': 'http://testregions/x.bin',
  'a path without its slash': 'regions/x.bin',
  'a star (RFC 9112 3.2.4)': '*',
  'a double slash': '//regions/x.bin',
  'a fragment': '/regions/x.bin#fragment',
  'an escape that is decoded twice': '/regions/x%252ebin',
  'a broken escape': '/regions/x%2',
};

for (const [what, target] of Object.entries(noTargets)) {
  test(`no region is found by ${what}`, async (t) => {
    const answer = await askOnce(t, await start(), `GET ${target} HTTP/1.1\r\n${host}\r\n`);
    assert.ok(answer.status === 400 || answer.status === 404, `${answer.status}`);
    checkProblem(answer);
  });
}

test('an absolute form of nothing but a host is the page', async (t) => {
  const { port } = await startService(t);
  const client = await RawClient.connect(t, port);
  client.get('http://test');
  const { status, fields } = await client.response();
  assert.deepEqual([status, fields.get('content-type')], [200, 'text/html; charset=utf-8']);
});

test('the Host in absolute form need not be the field (RFC 9112 3.2.2), which must be there all the same', async (t) => {
  const running = await start();
  await checkRefusedForGood(t, running, 'GET http://test/regions/x.bin HTTP/1.1\r\n\r\n');
});

test('OPTIONS * asks about the whole server (RFC 9110 9.3.7)', async (t) => {
  const answers = await ask(t, await start(), `OPTIONS * HTTP/1.1\r\n${host}\r\n${marker}`, 2);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [204, 200],
  );
});

/** Answers that show a region, and what each is asked by. */
const shown: readonly (readonly [status: number, fields: string])[] = [
  [200, ''],
  [206, 'Range: bytes=0-9\r\n'],
  [206, 'Range: bytes=0-9,100-109\r\n'],
  [304, 'If-None-Match: *\r\n'],
];

for (const method of ['GET', 'HEAD']) {
  test(`what ${method} shows of a region is safe in a browser, and says that it has ranges`, async (t) => {
    const running = await start();
    for (const [status, fields] of shown) {
      const bytes = `${method} /regions/x.bin HTTP/1.1\r\n${host}${fields}\r\n`;
      const answer = await askOnce(t, running, bytes, method);
      assert.equal(answer.status, method === 'HEAD' && status === 206 ? 200 : status);
      const told = ['x-content-type-options', 'content-security-policy', 'accept-ranges'];
      assert.deepEqual(
        told.map((name) => answer.fields.get(name)),
        ['nosniff', 'sandbox', 'bytes'],
        fields,
      );
      assert.equal(answer.fields.get('transfer-encoding'), undefined, 'the length is known');
    }
  });
}

const errors: readonly (readonly [status: number, what: string, bytes: string])[] = [
  [404, 'a region that is not there', `GET /regions/missing HTTP/1.1\r\n${host}\r\n`],
  [404, 'a name that is none', `GET /regions/.hidden HTTP/1.1\r\n${host}\r\n`],
  [404, 'an address of nothing', `GET /nowhere HTTP/1.1\r\n${host}\r\n`],
  [404, 'a method on an address of nothing', `DELETE /nowhere HTTP/1.1\r\n${host}\r\n`],
  [405, 'a method that is not answered', `PUT /regions/x.bin HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`],
  [412, 'a condition that fails', `${region}${host}If-Match: "other"\r\n\r\n`],
  [416, 'a range beyond the end', `${region}${host}Range: bytes=5000-\r\n\r\n`],
];

for (const [status, what, bytes] of errors) {
  test(`${what} is a problem document of ${status}, and the connection stays`, async (t) => {
    const [answer, after] = await ask(t, await start(), bytes + marker, 2);
    assert.equal(answer?.status, status);
    if (answer) checkProblem(answer);
    assert.equal(after?.body.toString(), '{"status":"ok"}');
  });
}

// Range on HEAD is ignored, so that there is no 416.
for (const [status, what, bytes] of errors.filter(([status, , bytes]) => bytes.startsWith('GET') && status !== 416)) {
  test(`HEAD: ${what} is ${status} without a body`, async (t) => {
    const running = await start();
    const got = await askOnce(t, running, bytes);
    const [answer, after] = await ask(t, running, bytes.replace('GET', 'HEAD') + marker, 2, 'HEAD');
    assert.equal(answer?.status, status);
    for (const name of ['content-type', 'content-length', 'etag']) {
      assert.equal(answer?.fields.get(name), got.fields.get(name), name);
    }
    assert.equal(after?.body.toString(), '{"status":"ok"}');
  });
}

const tooLong: Readonly<Record<string, string>> = {
  'a target of 20,000 bytes': `GET /regions/${'n'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
  'a query of 20,000 bytes': `GET /regions/x.bin?${'n'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
  'a target of 1,000,000 bytes': `GET /regions/${'n'.repeat(1_000_000)} HTTP/1.1\r\n${host}\r\n`,
  'a field of 20,000 bytes': `${region}${host}X: ${'n'.repeat(20_000)}\r\n\r\n`,
  'a field of 1,000,000 bytes': `${region}${host}X: ${'n'.repeat(1_000_000)}\r\n\r\n`,
  'a field name of 20,000 bytes': `${region}${host}${'n'.repeat(20_000)}: x\r\n\r\n`,
  'a Range of 20,000 bytes': `${region}${host}Range: bytes=${'0-0,'.repeat(5000)}\r\n\r\n`,
  '5,000 fields': `${region}${host}${'X: y\r\n'.repeat(5000)}\r\n`,
};

for (const [what, bytes] of Object.entries(tooLong)) {
  test(`${what} is too much`, async (t) => {
    const running = await start();
    const answers = await ask(t, running, bytes, 3);
    const statuses = answers.map(({ status }) => status);
    assert.equal(statuses.length, 1, `${statuses}`);
    assert.ok([400, 413, 414, 431].includes(statuses[0] ?? 0), `${statuses}`);
    for (const answer of answers) checkProblem(answer);
    assert.equal((await askOnce(t, running, `${region}${host}\r\n`)).status, 200, 'the service goes on');
  });
}

test('what is just not too long is answered', async (t) => {
  const running = await start();
  const long = 'n'.repeat(15_000);
  assert.equal((await askOnce(t, running, `GET /regions/x.bin?${long} HTTP/1.1\r\n${host}\r\n`)).status, 200);
  assert.equal((await askOnce(t, running, `${region}${host}X: ${long}\r\n\r\n`)).status, 200);
});

for (const [what, body] of Object.entries(bodies)) {
  test(`GET and HEAD with ${what} leave the next request whole`, async (t) => {
    const running = await start();
    for (const method of ['GET', 'HEAD']) {
      const bytes = `${method} /regions/x.bin HTTP/1.1\r\n${host}Range: bytes=5-4999\r\n${body}${marker}`;
      const [answer, after] = await ask(t, running, bytes, 2, method);
      if (answer?.status === 206) assert.ok(answer.body.equals(content.subarray(5)));
      else assert.equal(answer?.status, method === 'HEAD' ? 200 : 400, method);
      if (answer?.fields.get('connection') === 'close') assert.equal(after, undefined);
      else assert.deepEqual([after?.status, after?.body.toString()], [200, '{"status":"ok"}'], method);
    }
  });
}

test('a body that comes late, in pieces, is still not a request', async (t) => {
  const { port } = await start();
  const client = await RawClient.connect(t, port);
  client.write(`${region}${host}Content-Length: ${marker.length}\r\n\r\n`);
  assert.equal((await client.response()).status, 200);
  for (const piece of [marker.slice(0, 10), marker.slice(10, 30), marker.slice(30)]) client.write(piece);
  client.write(`${region}${host}Range: bytes=0-0\r\n\r\n`);
  const answer = await client.response();
  assert.deepEqual([answer.status, answer.fields.get('content-range')], [206, `bytes 0-0/${size}`]);
  client.destroy();
});

test('Expect: 100-continue is answered before the final answer (RFC 9110 10.1.1)', async (t) => {
  const { port } = await start();
  const client = await RawClient.connect(t, port);
  client.write(`${region}${host}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
  const first = await client.head();
  if (first.status !== 100) assert.ok(first.status >= 200, 'a final answer may come at once');
  else assert.equal((await client.response()).status, 200);
  client.destroy();
});

test('an expectation that nobody knows is ignored, or refused by a problem document (RFC 9110 10.1.1)', async (t) => {
  const { port } = await start();
  const client = await RawClient.connect(t, port);
  client.write(`${region}${host}Expect: 200-maybe\r\n\r\n`);
  const { status, fields } = await client.head();
  assert.ok(status === 200 || status === 417, `${status}`);
  if (status === 417) assert.equal(fields.get('content-type'), 'application/problem+json');
  client.destroy();
});

test('an Upgrade that nobody knows is ignored (RFC 9110 7.8)', async (t) => {
  const running = await start();
  for (const protocol of ['websocket', 'h2c', 'TLS/1.0']) {
    const fields = `Connection: Upgrade\r\nUpgrade: ${protocol}\r\n`;
    const answer = await askOnce(t, running, `${region}${host}${fields}\r\n`);
    assert.equal(answer.status, 200, protocol);
    assert.ok(answer.body.equals(content));
  }
});

test('empty lines before a request are skipped (RFC 9112 2.2)', async (t) => {
  const answers = await ask(t, await start(), `\r\n\r\n${region}${host}\r\n\r\n${marker}`, 2);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
});

test('Node takes nothing that listens to a streamed response for a leak', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'x.bin', size);
  const { port } = await startService(t, { dir, engine: 'stream' });
  const warnings: Error[] = [];
  const keep = (warning: Error) => warning.name === 'MaxListenersExceededWarning' && warnings.push(warning);
  process.on('warning', keep);
  t.after(() => process.off('warning', keep));
  const client = await RawClient.connect(t, port);
  client.get('/regions/x.bin');
  assert.equal((await client.response()).body.length, size);
  await new Promise(setImmediate); // Warnings are told in a later tick.
  assert.deepEqual(warnings, []);
});
