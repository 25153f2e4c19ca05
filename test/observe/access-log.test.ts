/** Lines of requests: alike from lanes and from Node, in both formats, and in the file that is at the path by now. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AccessLog, type AccessLogFormat } from '../../src/observe/access-log.ts';
import { byPool, openLogFile } from '../../src/observe/descriptor.ts';
import { LogOutput } from '../../src/observe/log-output.ts';
import { type Logged, linesIn, startLogged } from '../support/logged-service.ts';
import { until } from '../support/poll.ts';
import { originOf, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const size = 24 << 20;
const path = '/regions/a%20b.bin';

async function serve(t: TestContext, express: boolean, format: AccessLogFormat): Promise<Logged> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'a b.bin', size);
  return startLogged(t, { dir, express, engine: 'sendfile' }, format);
}

/** Asks for the same with lanes and without them. Gives the lines of both, without those that prepared it. */
async function both(
  t: TestContext,
  format: AccessLogFormat,
  requests: readonly string[],
): Promise<[string[], string[]]> {
  const lines: string[][] = [];
  for (const express of [true, false]) {
    const served = await serve(t, express, format);
    const client = await RawClient.connect(t, served.port);
    client.get(path, '0-9');
    const etag = (await client.response()).fields.get('etag') ?? '';
    await until(() => served.lines().length === 1, 'the line of the first, which Node has answered', served.lines);
    for (const request of requests) {
      client.write(request.replace('ETAG', etag));
      await client.response(request.startsWith('HEAD') ? 'HEAD' : 'GET');
    }
    client.destroy();
    await until(() => served.lines().length === requests.length + 1, 'every line is there', served.lines);
    const answers = Object.values(served.service.relay.counters().answers).reduce((all, count) => all + count, 0);
    assert.equal(answers, express ? requests.length : 0, 'lanes have answered, or Node has');
    lines.push(served.lines().slice(1));
  }
  return lines as [string[], string[]];
}

const asked = [
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=5-104\r\n\r\n`,
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: ETAG\r\n\r\n`,
  `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: ETAG\r\n\r\n`,
];

test('a line of JSON has the same members in the same order, whoever has answered', async (t) => {
  const [ofLanes, ofNode] = (await both(t, 'json', asked)).map((lines) => lines.map((line) => JSON.parse(line)));
  for (const [at, line] of (ofLanes ?? []).entries()) {
    const { time, reqId, milliseconds, ...others } = line;
    const { time: _, reqId: byNode, milliseconds: __, ...expected } = ofNode?.[at] ?? {};
    assert.deepEqual(Object.keys(line), Object.keys(ofNode?.[at] ?? {}), asked[at]);
    assert.deepEqual(others, expected);
    assert.match(reqId, /^lane-[0-9]+$/);
    assert.match(byNode, /^req-/);
    assert.ok(Math.abs(Date.now() - time) < 600_000 && milliseconds >= 0, `${time} ${milliseconds}`);
  }
  const [ranged, whole, ofHead, unchanged] = ofLanes ?? [];
  assert.deepEqual([ranged?.status, ranged?.bytes, ranged?.engine], [206, 100, 'sendfile']);
  assert.deepEqual([whole?.status, whole?.bytes], [200, size]);
  assert.deepEqual([ofHead?.method, ofHead?.url, ofHead?.bytes, unchanged?.status], ['HEAD', path, undefined, 304]);
});

test('a body that was broken off has the same members in its line, whoever has sent it', async (t) => {
  const lines: Record<string, unknown>[] = [];
  for (const express of [true, false]) {
    const served = await serve(t, express, 'json');
    const client = await RawClient.connect(t, served.port);
    client.get(path, '0-9');
    await client.response();
    await until(() => served.lines().length === 1, 'the line of the first, which Node has answered', served.lines);
    client.get(path);
    await client.take(100_000);
    client.reset();
    await until(() => served.lines().length === 2, 'both lines are there', served.lines);
    const line = JSON.parse(served.lines()[1] ?? '');
    assert.deepEqual([line.status, line.outcome, line.remoteAddress], [200, 'aborted', '127.0.0.1']);
    assert.ok(line.bytes >= 90_000 && line.bytes < size, `${line.bytes}`);
    assert.equal(String(line.reqId).startsWith('lane-'), express);
    lines.push(line);
  }
  assert.deepEqual(Object.keys(lines[0] ?? {}), Object.keys(lines[1] ?? {}));
});

const odd = 'a"b\\c\t\u00e9\u00ff~!';
const told = String.raw`a\x22b\x5Cc\x09\xE9\xFF~!`;

const withClient = [
  ...asked,
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0\r\nReferer: https://a.example/?q=1\r\nUser-Agent: curl/8.5.0 (x)\r\n\r\n`,
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0\r\nReferer: ${odd}\r\nUser-Agent: \r\n\r\n`,
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0\r\nUser-Agent: ${odd.repeat(500)}\r\n\r\n`,
  `GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=0-9\r\n\r\n`,
];

test('a line of the combined format is the same, whoever has answered, and escapes what a client says', async (t) => {
  const masked = (lines: string[]) => lines.map((line) => line.replace(/\[[^\]]+ \+0000\]/, '[TIME]'));
  const [ofLanes, ofNode] = (await both(t, 'combined', withClient)).map(masked) as [string[], string[]];
  assert.deepEqual(ofLanes, ofNode);
  const line = (request: string, status: number, bytes: number, client: string) =>
    `127.0.0.1 - - [TIME] "${request}" ${status} ${bytes} ${client}`;
  assert.deepEqual(ofLanes, [
    line(`GET ${path} HTTP/1.1`, 206, 100, '"-" "-"'),
    line(`GET ${path} HTTP/1.1`, 200, size, '"-" "-"'),
    line(`HEAD ${path} HTTP/1.1`, 200, 0, '"-" "-"'),
    line(`GET ${path} HTTP/1.1`, 304, 0, '"-" "-"'),
    line(`HEAD ${path} HTTP/1.1`, 304, 0, '"-" "-"'),
    line(`GET ${path} HTTP/1.1`, 206, 1, '"https://a.example/?q=1" "curl/8.5.0 (x)"'),
    line(`GET ${path} HTTP/1.1`, 206, 1, `"${told}" ""`),
    line(`GET ${path} HTTP/1.1`, 206, 1, `"-" "${told.repeat(500)}"`),
    line(`GET ${path} HTTP/1.0`, 206, 10, '"-" "-"'),
  ]);
});

test('the time in a line of the combined format is now, in UTC', async (t) => {
  for (const lines of await both(t, 'combined', asked.slice(0, 1))) {
    const [, day, month, year, time] = /\[(\d\d)\/(\w{3})\/(\d{4}):([\d:]{8}) \+0000\]/.exec(lines[0] ?? '') ?? [];
    const logged = Date.parse(`${day} ${month} ${year} ${time} GMT`);
    assert.ok(Math.abs(Date.now() - logged) < 600_000, lines[0]);
  }
});

test('what only Node answers has lines of the combined format, whatever stands in its request', async (t) => {
  const served = await serve(t, true, 'combined');
  const client = await RawClient.connect(t, served.port);
  for (const request of [
    'GET /nowhere?"\\ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: one\r\n\r\n',
    'POST /leases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n',
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0,5-5\r\n\r\n`,
  ]) {
    client.write(request);
    await client.response();
  }
  await until(() => served.lines().length === 3, 'every line is there', served.lines);
  const [missing, posted, parts] = served.lines();
  assert.match(missing ?? '', /"GET \/nowhere\?\\x22\\x5C HTTP\/1\.1" 404 \d+ "-" "one"$/);
  assert.match(posted ?? '', /"POST \/leases HTTP\/1\.1" 404 \d+ "-" "-"$/);
  assert.match(parts ?? '', /"GET \/regions\/a%20b\.bin HTTP\/1\.1" 206 \d\d\d "-" "-"$/);
});

for (const env of [{}, { PAGERELAY_PORTABLE: '1' }] as Record<string, string>[]) {
  test(`SIGUSR1 has lines go to a new file at the path, ${JSON.stringify(env)}`, async (t) => {
    const folder = makeFolder(t, 'ext4');
    const [file, old] = [join(folder, 'access.log'), join(folder, 'access.log.1')];
    const region = writeRegion(folder, 'r.bin', 4096);
    // Messages are left out, and these lines are not.
    const options = ['--region', `r.bin=${region.path}`, '--log-level', 'error', '--access-log', file];
    const child = startCli(t, ['serve', '--port', '0', ...options], env);
    const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
    const ask = async (count: number) => {
      for (let at = 0; at < count; at++) {
        client.get('/regions/r.bin', '0-9');
        await client.response();
      }
    };
    await ask(5);
    await until(
      () => linesIn(file).length === 5,
      'lines are in the file',
      () => linesIn(file),
    );
    renameSync(file, old);
    await ask(1);
    await until(
      () => linesIn(old).length === 6,
      'lines go on where the file is by now',
      () => linesIn(old),
    );
    child.process.kill('SIGUSR1');
    await until(() => existsSync(file), 'there is a new file');
    await ask(4);
    await until(
      () => linesIn(file).length === 4,
      'lines go to the new one',
      () => linesIn(file),
    );
    assert.equal(linesIn(old).length, 6);
    for (const line of [...linesIn(old), ...linesIn(file)]) assert.equal(JSON.parse(line).msg, 'request');
    assert.equal(child.stdout(), '');
    child.process.kill('SIGTERM');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
}

test('where there can be no new file, lines go on in the old one, and the log says so', async (t) => {
  const folder = join(makeFolder(t, 'ext4'), 'logs');
  mkdirSync(folder);
  const [file, moved] = [join(folder, 'access.log'), `${folder}.1`];
  const child = startCli(t, ['serve', '--port', '0', '--access-log', file]);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  renameSync(folder, moved);
  child.process.kill('SIGUSR1');
  await until(() => /"level":50,.*could not be opened again/.test(child.stdout()), 'it is logged', child.stdout);
  client.get('/healthz');
  await client.response();
  await until(() => linesIn(join(moved, 'access.log')).length === 1, 'the line is there');
});

test('where lanes could not write their lines, Node answers, and every request has its line', async (t) => {
  const file = join(makeFolder(t, 'ext4'), 'access.log');
  const output = new LogOutput(byPool(openLogFile(file)));
  const { service, port } = await startService(t, { accessLog: new AccessLog(output, 'json') });
  const client = await RawClient.connect(t, port);
  for (let at = 0; at < 3; at++) {
    client.get('/regions/demo', '0-9');
    await client.response();
  }
  await until(
    () => linesIn(file).length === 3,
    'three lines',
    () => linesIn(file),
  );
  assert.equal(service.relay.counters().acceptedConnections, 0);
});

test('without an access log there is no line, and messages are there', async (t) => {
  const child = startCli(t, ['serve', '--port', '0', '--access-log', 'off']);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  for (let at = 0; at < 3; at++) {
    client.get('/regions/demo', '0-9');
    await client.response();
  }
  child.process.kill('SIGTERM');
  await child.exited;
  assert.match(child.stdout(), /"msg":"draining"/);
  assert.doesNotMatch(child.stdout(), /"msg":"request"/);
});

test('a file that can’t be had is an error at the start', async (t) => {
  const folder = makeFolder(t, 'ext4');
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  for (const [file, code] of [
    [join(folder, 'none', 'access.log'), 'ENOENT'],
    [folder, 'EISDIR'],
    [fifo, 'ENXIO'], // Nobody reads it.
  ] as const) {
    const child = startCli(t, ['serve', '--port', '0', '--access-log', file]);
    assert.deepEqual(await child.exited, { code: 1, signal: null });
    assert.match(child.stderr(), new RegExp(`^pagerelay: ${code}: .*'${file}'\n$`));
  }
});

test('lines that a full device does not take are counted', async (t) => {
  const child = startCli(t, ['serve', '--port', '0', '--access-log', '/dev/full']);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  const dropped = async () => {
    client.get('/metrics');
    const { body } = await client.response();
    return Number(/^pagerelay_access_log_dropped_lines_total (\d+)$/m.exec(body.toString())?.[1]);
  };
  for (let at = 0; at < 20; at++) {
    client.get('/regions/demo', '0-9');
    assert.equal((await client.response()).status, 206);
  }
  await until(async () => (await dropped()) >= 20, 'all are counted');
});
