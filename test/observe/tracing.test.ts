/** What is told on the diagnostics channels, in which order, and that nothing is where nobody listens. @module */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type TestContext, test } from 'node:test';
import { channels, type TracedDone, type TracedEnd, traceHeld } from '../../src/observe/tracing.ts';
import { PortableRelay } from '../../src/relay/portable-relay.ts';
import { everyEngine } from '../support/engines.ts';
import { until } from '../support/poll.ts';
import { originOf, startCli } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

type Step = keyof typeof channels;
type Heard = TracedEnd & TracedDone & { readonly step: Step };

const size = 16 << 20;

for (const engine of everyEngine) {
  test(`a body is held, sending, accepted and done, by ${engine}`, async (t) => {
    const heard = listen(t);
    const { port } = await serve(t, { engine });
    const client = await RawClient.connect(t, port);
    client.get('/regions/region.bin', '100-1099,4096-4195');
    const { body } = await client.response();
    await expectDone(heard, ['held', 'sending', 'accepted', 'done']);
    const [held] = heard;
    const { id, requestId } = held ?? {};
    const extents = [
      { offset: 100, length: 1000 },
      { offset: 4096, length: 100 },
    ];
    const about = { id, requestId, region: 'region.bin', extents, length: body.length, engine };
    for (const step of heard) assert.deepEqual(pick(step, about), about);
    assert.deepEqual(pick(heard[2], { outcome: '', bytes: 0 }), { outcome: 'complete', bytes: body.length });
    assert.ok((heard[3]?.seconds ?? 0) > 0);
  });
}

test('a body whose client goes away is ended, and done afterwards', async (t) => {
  const heard = listen(t);
  const { port } = await serve(t);
  const client = await RawClient.connect(t, port);
  client.get('/regions/region.bin');
  await client.take(1 << 20);
  client.reset();
  await expectDone(heard, ['held', 'sending', 'ended', 'done']);
  assert.equal(heard[2]?.outcome, 'aborted');
  assert.ok((heard[2]?.bytes ?? 0) >= 1 << 20);
});

test('what is accepted and not read is done only when it has been read', async (t) => {
  const heard = listen(t);
  const { port } = await serve(t);
  const client = await RawClient.connect(t, port);
  client.get('/regions/region.bin', '0-9999');
  await until(
    () => heard.length === 3,
    'it is accepted',
    () => heard,
  );
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepEqual(
    heard.map(({ step }) => step),
    ['held', 'sending', 'accepted'],
  );
  await client.response();
  await until(
    () => heard.length === 4,
    'it is done',
    () => heard,
  );
});

test('lanes answer nothing while somebody listens when the service starts, so that each body is told of', async (t) => {
  const heard = listen(t, ['held']);
  const { port, service } = await serve(t);
  const client = await RawClient.connect(t, port);
  for (let turn = 0; turn < 5; turn++) {
    client.get('/regions/region.bin', `${turn}-${turn + 9}`);
    await client.response();
  }
  assert.equal(service.relay.counters().acceptedConnections, 0);
  const asked = heard.map(({ extents }) => extents[0]?.offset);
  assert.deepEqual(asked, [0, 1, 2, 3, 4]);
});

test('where nobody listens, a transmission has no trace, and nothing is made for one', () => {
  const trace = traceHeld(new PortableRelay('a test'), () => assert.fail('nobody asked'));
  assert.equal(trace, undefined);
});

test('request ids join the steps with the lines of the log', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  writeRegion(folder, 'region.bin', 4096);
  const preload = new URL('../support/print-steps.ts', import.meta.url).href;
  const child = startCli(t, ['serve', '--port', '0', '--dir', folder], { NODE_OPTIONS: `--import=${preload}` });
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  client.get('/regions/region.bin');
  await client.response();
  const lines = () =>
    child
      .stdout()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  const named = (name: string) => lines().find(({ msg, step }) => msg === name || step === name);
  await until(() => named('request') && named('done'), 'both are there', child.stdout);
  assert.equal(named('done').requestId, named('request').reqId);
  for (const step of ['held', 'sending', 'accepted']) assert.equal(named(step).requestId, named('request').reqId);
});

async function serve(t: TestContext, options = {}): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'region.bin', size);
  return startService(t, { dir, ...options });
}

/** What is told from now on. Channels are the process's: one test at a time. */
function listen(t: TestContext, steps: readonly Step[] = ['held', 'sending', 'accepted', 'ended', 'done']): Heard[] {
  const heard: Heard[] = [];
  for (const step of steps) {
    const { name } = channels[step];
    const listener = (message: unknown) => void heard.push({ step, ...(message as Omit<Heard, 'step'>) });
    subscribe(name, listener);
    t.after(() => unsubscribe(name, listener));
  }
  return heard;
}

async function expectDone(heard: readonly Heard[], steps: readonly Step[]): Promise<void> {
  await until(
    () => heard.some(({ step }) => step === 'done'),
    'it is done',
    () => heard,
  );
  assert.deepEqual(
    heard.map(({ step }) => step),
    steps,
  );
}

/** Those fields of a step that `like` has. */
function pick(step: Heard | undefined, like: object): object {
  return Object.fromEntries(Object.keys(like).map((name) => [name, step?.[name as keyof Heard]]));
}
