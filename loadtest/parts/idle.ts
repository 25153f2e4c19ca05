/** What a kept-alive connection costs that has had an answer and does nothing. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { connectClient, type Load } from '../client/load.ts';
import { collectGarbage, inspectorFlag } from '../measure/garbage.ts';
import { openFileLimitOf, residentBytesOf } from '../measure/memory.ts';
import { nodeStream } from '../peers/node-stream.ts';
import { metricsOf, nativeBytes, pagerelay } from '../peers/pagerelay.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { freePort } from '../run/free-port.ts';
import { oneRegion, type Regions, regionBytes, writeRegionFile } from '../run/region-file.ts';
import { type Driver, WrongAnswer, warmUp } from '../run/rounds.ts';
import { RunScope } from '../run-scope.ts';
import { type BenchRun, driverOf, memoryFolder, serverPin } from './bench-run.ts';

const size = 2 ** 12;

/** Each round starts servers anew: memory that was taken once does not always come back. */
const mostRounds = 2;

/** What was counted for one server in one round, in bytes a connection. */
export type IdleSample = {
  readonly peer: string;
  readonly round: number;
  readonly resident: number;
  /** Of that, what the native shim has set aside; undefined where there is none. */
  readonly native: number | undefined;
};

/** What was counted. */
export type IdlePart = { readonly connections: number; readonly samples: readonly IdleSample[] };

/** Counts for pagerelay and for Node's own server. */
export async function measureIdle(run: BenchRun): Promise<IdlePart> {
  const region = writeRegionFile(run.scope.folder(memoryFolder), regionBytes);
  const samples: IdleSample[] = [];
  let connections = run.options.idle;
  for (let round = 1; round <= Math.min(mostRounds, run.options.rounds); round++) {
    for (const peer of [pagerelay, nodeStream]) {
      const counted = await countOnce(run, peer, oneRegion(region), connections);
      connections = counted.connections;
      samples.push({ peer: peer.name, round, resident: counted.resident, native: counted.native });
      console.error(
        `idle, round ${round}: ${peer.name}: ${Math.round(counted.resident)} bytes for each of ${connections}`,
      );
    }
  }
  return { connections, samples };
}

// A server of its own, which ends at once.
async function countOnce(run: BenchRun, peer: Peer, regions: Regions, wanted: number) {
  const scope = new RunScope();
  try {
    const inspector = await freePort();
    const context = { scope, regions, sizes: [size], folder: run.folder, pin: serverPin(run.pins) };
    const server = await peer.start({ ...context, nodeFlags: [inspectorFlag(inspector)] });
    const driver = driverOf(run, run.pins);
    const { connections: usual, seconds } = run.options;
    await warmUp(driver, [server], { size, connections: usual, seconds });
    const connections = Math.min(wanted, allowedConnections(server));
    const before = await settled(peer, server, inspector);
    const client = await connectIdle(driver, server, connections);
    const after = await settled(peer, server, inspector);
    await client.end();
    const each = (bytes: (of: typeof before) => number) => (bytes(after) - bytes(before)) / connections;
    const native = peer === pagerelay ? each((of) => of.native) : undefined;
    return { connections, native, resident: each((of) => of.resident) };
  } finally {
    await scope.end();
  }
}

/** A connection that a lane knows has two descriptors; and the process has others. */
const descriptorsEach = 2;
const otherDescriptors = 256;

function allowedConnections(server: RunningPeer): number {
  const limit = openFileLimitOf(server.endpoint(size).pid);
  const allowed = Math.floor((limit - otherDescriptors) / descriptorsEach);
  if (allowed < 10_000) console.error(`*** at most ${allowed} idle connections: ulimit -n is ${limit}`);
  return allowed;
}

async function connectIdle(driver: Driver, server: RunningPeer, connections: number) {
  const { port, path, region } = server.endpoint(size);
  const load: Load = { port, path, connections, size, regionBytes: region.bytes, count: connections, seed: 1 };
  const client = await connectClient(driver.client, load, driver.signal);
  const { errors, firstError } = await client.go();
  if (errors > 0) throw new WrongAnswer(`${server.name}: ${errors} responses were wrong, the first: ${firstError}`);
  return client;
}

/** Timers that end what a request leaves behind, such as a grant, have run by then. */
const settleMilliseconds = 1500;

async function settled(peer: Peer, server: RunningPeer, inspector: number) {
  const { pid, port } = server.endpoint(size);
  const read = async () => (peer === pagerelay ? nativeBytes(await metricsOf(`http://127.0.0.1:${port}`)) : 0);
  await delay(settleMilliseconds);
  const native = await read();
  await collectGarbage(inspector);
  return { native, resident: residentBytesOf(pid) };
}
