/** A control group with little memory: who is new is refused while it is short, and what is on its way goes on. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/poll.ts';
import { originOf, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, writeRegion } from '../support/regions.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const mebibyte = 2 ** 20;
const [limit, reserve] = [512 * mebibyte, 96 * mebibyte];

type Group = { readonly procs: string; left(): number };

/** A control group with a limit, of either version; undefined where none can be made. */
function makeGroup(t: TestContext): Group | undefined {
  const name = `pagerelay-test-${process.pid}`;
  for (const [mount, most, used, dropped] of [
    ['/sys/fs/cgroup', 'memory.max', 'memory.current', /^(?:in)?active_file (\d+)$/gm],
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.usage_in_bytes', /^total_(?:in)?active_file (\d+)$/gm],
  ] as const) {
    const folder = join(mount, name);
    try {
      mkdirSync(folder);
    } catch {
      continue;
    }
    if (!existsSync(join(folder, most))) {
      rmdirSync(folder); // No control group, or one without this controller.
      continue;
    }
    t.after(() => until(() => isRemoved(folder), 'the group is empty'));
    writeFileSync(join(folder, most), `${limit}`);
    const read = (file: string) => readFileSync(join(folder, file), 'latin1');
    const left = () =>
      limit -
      Number(read(used)) +
      [...read('memory.stat').matchAll(dropped)].reduce((sum, [, n]) => sum + Number(n), 0);
    return { procs: join(folder, 'cgroup.procs'), left };
  }
  return undefined;
}

function isRemoved(folder: string): boolean {
  try {
    for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'latin1').match(/\d+/g) ?? [])
      process.kill(Number(pid), 'SIGKILL');
    rmdirSync(folder);
    return true;
  } catch {
    return false; // Its processes are not gone yet.
  }
}

const inGroup = ({ procs }: Group, ...command: string[]) => [
  '-c',
  `echo $$ > ${procs} && exec "$@"`,
  'sh',
  process.execPath,
  ...command,
];

const takeMemory =
  'globalThis.held = Buffer.alloc(Number(process.argv[1]), 1); console.log("taken"); setInterval(() => {}, 1e6)';

test('while memory is short who is new is refused, and what is on its way goes on', async (t) => {
  const group = makeGroup(t);
  if (!group) {
    t.skip('SKIP: no control group with a limit of memory can be made here; run as root, with the memory controller');
    return;
  }
  const folder = makeFolder(t, 'tmpfs');
  const file = writeRegion(folder, 'file.bin', 16 * mebibyte, 61);
  const args = ['serve', '--port', '0', '--lanes', '1', '--dir', folder, '--drain', '0', '--access-log', 'off'];
  const service = start(t, 'sh', inGroup(group, cli, ...args, '--reserve-memory', `${reserve}`));
  const port = Number(new URL(await originOf(service)).port);
  const connect = () => RawClient.connect(t, port);
  const [busy, known, watching] = [await connect(), await connect(), await connect()];
  const ask = async (client: RawClient) => {
    client.get('/regions/file.bin', '5-104');
    return client.response();
  };
  assert.equal((await ask(known)).status, 206);
  const refusals = async () => {
    watching.get('/metrics');
    const { body } = await watching.response();
    return Number(/^pagerelay_limited_total\{reason="memory"\} (\d+)$/m.exec(body.toString())?.[1]);
  };
  assert.equal(await refusals(), 0);
  busy.get('/regions/file.bin');
  assert.equal((await busy.head()).status, 200);

  const ballast = start(t, 'sh', inGroup(group, '-e', takeMemory, `${group.left() - reserve}`));
  await until(() => ballast.stdout().includes('taken'), 'memory is short', ballast.stdout);
  await until(async () => (await ask(known)).status === 503, 'a request is refused');
  known.get('/regions/file.bin');
  const refused = await known.response();
  assert.deepEqual([refused.fields.get('retry-after'), JSON.parse(refused.body.toString()).code], ['1', 'busy']);
  assert.ok((await refusals()) >= 2, 'it is counted');
  const late = await (await connect()).response();
  assert.deepEqual([late.status, late.body.length, late.fields.get('connection')], [503, 0, 'close']);
  assert.equal((await known.rest()).bytes, 0, 'an idle one is closed');
  assert.ok((await busy.take(file.size)).equals(bytesOf(file.path, 0, file.size - 1)), 'what is on its way goes on');

  ballast.process.kill('SIGKILL');
  await until(async () => (await ask(await connect())).status === 206, 'who is new is served again');
});
