/** HAProxy in front: its probes are answered, and it hands on the host that it was asked by. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { areThere, program } from '../support/client-tools.ts';
import { type HaProxy, probesOf, startHaProxy } from '../support/haproxy.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const haproxy = program('haproxy', 'haproxy');
const path = '/regions/file.bin';
const size = 300_000;

const probes = {
  old: ['option httpchk GET /readyz'],
  head: ['option httpchk HEAD /healthz HTTP/1.0'],
  region: ['option httpchk GET /regions/file.bin HTTP/1.0'],
  named: ['option httpchk', 'http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host up.example'],
  allowed: ['option httpchk', `http-check send meth HEAD uri ${path} ver HTTP/1.1 hdr Host files.example`],
  foreign: ['option httpchk', `http-check send meth HEAD uri ${path} ver HTTP/1.1 hdr Host evil.example`],
};

async function get(t: TestContext, { port }: HaProxy, host: string) {
  const client = await RawClient.connect(t, port);
  client.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return client.response().finally(() => client.destroy());
}

for (const writable of [false, true]) {
  const kind = writable ? 'a writable service' : 'a service that only reads';
  test(`${kind} is up for HAProxy, which asks without a host, or by one of its own`, async (t) => {
    if (!areThere(t, [haproxy])) return;
    const dir = makeFolder(t, 'tmpfs');
    const file = writeRegion(dir, 'file.bin', size, 3);
    const running = await startService(t, { dir, writable, drain: 0, allowHosts: ['files.example'] });
    const proxy = await startHaProxy(t, haproxy, running.port, probes);
    const seen = async () =>
      Object.fromEntries((await probesOf(proxy)).map(({ server, check, status }) => [server, `${check} ${status}`]));
    const expected = Object.fromEntries(Object.keys(probes).map((name) => [name, 'L7OK 200']));
    let last: unknown;
    await until(
      async () => {
        last = await seen();
        return JSON.stringify(last) === JSON.stringify({ ...expected, foreign: 'L7STS 421' });
      },
      'every probe has been answered',
      () => last,
    );
    const answer = await get(t, proxy, 'files.example');
    assert.deepEqual([answer.status, sha256(answer.body)], [200, sha256OfFile(file.path, 0, size - 1)]);
    assert.equal((await get(t, proxy, 'localhost:80')).status, 200);
    assert.equal((await get(t, proxy, 'evil.example')).status, 421);
    proxy.child.process.kill('SIGTERM');
    await proxy.child.exited;
  });
}
