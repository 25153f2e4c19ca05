/** The sending side, in a process of its own so that its processor time is its alone. Answers each message once. @module */
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineChoice } from '../relay/engine.ts';
import { NativeRelay } from '../relay/native-relay.ts';
import { loadShim } from '../relay/shim.ts';
import { createService, type Service } from '../service.ts';
import type { ListedRegion, ToSender, Usage } from './sending.ts';

const verdict = loadShim();
if ('missing' in verdict) throw new Error(verdict.missing);

let service: Service | undefined;

process.on('message', (message: ToSender) => {
  void answer(message).then(
    (reply) => process.send?.({ reply }),
    (error: unknown) => process.send?.({ failed: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());

function answer(message: ToSender): Promise<unknown> {
  if (message.ask === 'open') return open(message.path, message.engine);
  if (message.ask === 'usage') return usage();
  return close();
}

async function open(path: string, engine: EngineChoice): Promise<{ port: number; region: ListedRegion }> {
  service = createService({
    dir: undefined,
    regions: [{ name: 'region', path }],
    engine,
    portableEtags: false,
    keepVersions: 0,
    keepBytes: 1,
    maxDigestBytes: 0,
    cacheControl: 'no-cache',
    headers: [],
    express: false,
    copyBelow: 0,
    copyFirstBelow: 0,
    lanes: 1,
    maxHold: 30,
    maxWait: 30,
    maxConnections: undefined,
    bodyTimeout: 60,
    unaskable: [],
    writable: false,
    maxPartial: 1,
    durability: 'sync',
    maxBytes: undefined,
    drain: 5,
    logLevel: 'silent',
    readTokenFile: undefined,
    writeTokenFile: undefined,
    cors: [],
    allowHosts: [],
  });
  await service.app.listen({ host: '127.0.0.1', port: 0 });
  const listing = (await service.app.inject({ url: '/regions' })).json() as { regions: [ListedRegion] };
  return { port: (service.app.server.address() as AddressInfo).port, region: listing.regions[0] };
}

async function usage(): Promise<Usage> {
  const relay = service?.relay;
  if (!relay) throw new Error('nothing is open');
  await nothingHeld(relay);
  const { user, system } = process.cpuUsage();
  const { sends, sentBytes, copiedBytes } = relay.counters();
  return { cpuSeconds: (user + system) / 1e6, sends, sentBytes, copiedBytes };
}

// The last notices of zerocopy come when the peer has it all already.
async function nothingHeld(relay: Service['relay']): Promise<void> {
  const deadline = performance.now() + 1000;
  while (relay.references().items.length > 0 && performance.now() < deadline) await delay(1);
}

// What was read may stay parked on a CPU with its pages, which a file on fsdax must not be removed under.
async function close(): Promise<void> {
  if (service?.relay instanceof NativeRelay) service.relay.nudge();
  await service?.close();
  service = undefined;
}
