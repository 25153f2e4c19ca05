/** HAProxy and nginx in front: the log has the address of who has asked them, by the PROXY protocol and X-Forwarded-For. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { areThere, program, startTool, type Tool } from '../support/client-tools.ts';
import { freePort } from '../support/free-port.ts';
import { configurationOf, configure } from '../support/nginx.ts';
import { until } from '../support/poll.ts';
import { type Child, originOf, startCli } from '../support/process.ts';
import { makeFolder, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';

const haproxy = program('haproxy', 'haproxy');
const nginx = program('nginx', 'nginx-light');
const size = 200_000;

/** Asks from an address of this machine. */
async function get(port: number, path: string, localAddress: string): Promise<{ status: number; body: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Buffer }>();
  const asked = request({ host: '127.0.0.1', port, path, localAddress, agent: false }, (response) => {
    buffer(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
  });
  asked.once('error', reject).end();
  return promise;
}

/** Starts a service that trusts 127.0.0.1 alone, and a proxy before it. */
async function setScene(
  t: TestContext,
  listen: string,
  tool: Tool,
  argsFor: (port: number, upstream: number) => string[],
) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 5);
  const trusted = ['--trusted-proxy', '127.0.0.1/32', '--listen', listen, '--allow-host', '*'];
  const service = startCli(t, ['serve', '--region', `file.bin=${file.path}`, ...trusted]);
  const upstream = Number(new URL((await originOf(service)).split(',')[0] ?? '').port);
  const port = await freePort();
  const child = startTool(t, tool, argsFor(port, upstream));
  await until(
    () =>
      get(port, '/readyz', '127.0.0.1').then(
        ({ status }) => status === 200,
        () => false,
      ),
    'the proxy answers',
    () => [child.stderr(), service.stdout()],
  );
  return { service, child, port, file };
}

async function expectClients(t: TestContext, { service, child, port, file }: Awaited<ReturnType<typeof setScene>>) {
  const addresses = ['127.0.0.77', '127.0.0.78', '127.0.0.79'];
  for (const address of addresses) {
    for (let round = 0; round < 2; round++) {
      const { status, body } = await get(port, '/regions/file.bin', address);
      assert.deepEqual([status, sha256(body)], [200, sha256OfFile(file.path, 0, size - 1)]);
    }
  }
  child.process.kill('SIGTERM');
  await child.exited;
  service.process.kill('SIGTERM');
  assert.equal((await service.exited).code, 0, service.stderr());
  assert.deepEqual(clientsIn(service), addresses.flatMap((address) => [address, address]).sort());
  t.diagnostic(`${service.stdout().match(/"reqId":"lane-/g)?.length ?? 0} lines are of lanes`);
}

function clientsIn(service: Child): string[] {
  const lines = service.stdout().matchAll(/"url":"\/regions\/file\.bin",.*"remoteAddress":"([^"]*)"/g);
  return [...lines].map(([, address = '']) => address).sort();
}

for (const options of ['send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,unique-id,authority']) {
  test(`behind HAProxy with ${options} the log has who asks`, async (t) => {
    if (!areThere(t, [haproxy])) return;
    const path = join(makeFolder(t, 'tmpfs'), 'haproxy.cfg');
    const scene = await setScene(t, '127.0.0.1:0,proxy', haproxy, (port, upstream) => {
      writeFileSync(
        path,
        `defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend all
  bind 127.0.0.1:${port}
  unique-id-format %ci-%cp
  default_backend service
backend service
  server service 127.0.0.1:${upstream} ${options} check check-send-proxy inter 200ms
`,
      );
      return ['-db', '-f', path];
    });
    await expectClients(t, scene);
  });
}

test('behind nginx, which sends X-Forwarded-For, the log has who asks, and not who says so', async (t) => {
  if (!areThere(t, [nginx])) return;
  const prefix = makeFolder(t, 'tmpfs');
  const scene = await setScene(t, '127.0.0.1:0', nginx, (port, upstream) =>
    configure(
      prefix,
      configurationOf(
        prefix,
        `server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstream};
      proxy_http_version 1.1;
      proxy_set_header X-Forwarded-For "203.0.113.1, $remote_addr";
    }
  }`,
      ),
    ),
  );
  await expectClients(t, scene);
});
