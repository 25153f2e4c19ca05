/** One relay over one catalog, and all that answering with its regions needs. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { Outgoing } from './http/outgoing.ts';
import { Metrics } from './observe/metrics.ts';
import { Catalog, type NamedFile } from './region/catalog.ts';
import { makeDemo } from './region/demo.ts';
import { Digests } from './region/digest.ts';
import { type AddressBlock, blockListOf } from './relay/address-block.ts';
import { Connections } from './relay/connection.ts';
import type { EngineChoice } from './relay/engine.ts';
import { NativeRelay } from './relay/native-relay.ts';
import { openRelay, type RelayOptions } from './relay/open-relay.ts';
import type { Relay } from './relay/relay.ts';

/** What is served, and how. */
export type OpenOptions = RelayOptions & {
  readonly dir: string | undefined;
  readonly regions: readonly NamedFile[];
  readonly engine: EngineChoice;
  /** Peers that may be in this kernel, out of its sight: they get copies. */
  readonly unaskable: readonly AddressBlock[];
};

/** Regions that are open and can be answered with. */
export type Pagerelay = {
  readonly relay: Relay;
  readonly catalog: Catalog;
  readonly outgoing: Outgoing;
  readonly digests: Digests;
  readonly metrics: Metrics;
  /** Whether anything is on its way that somebody could still see change. */
  inFlight(): boolean;
  /** Waits until nothing is in flight or the deadline (`performance.now()`) has passed; then gives everything back. */
  close(deadline: number): Promise<void>;
};

const pollMilliseconds = 20;

/**
 * Opens regions. Without `dir` and `regions` there is one, `demo`.
 *
 * @throws SystemError when one can't be opened; NameClash
 */
export function openPagerelay(options: OpenOptions): Pagerelay {
  const relay = openRelay(options);
  const closers: (() => void)[] = [() => void relay.close()];
  try {
    return assemble(relay, options, closers);
  } catch (error) {
    for (const close of closers) close();
    throw error;
  }
}

function assemble(relay: Relay, options: OpenOptions, closers: (() => void)[]): Pagerelay {
  const { dir, regions, unaskable, engine, maxHold } = options;
  const demo = dir === undefined && regions.length === 0 ? makeDemo(relay) : undefined;
  if (demo) closers.push(demo.close);
  const catalog = new Catalog(relay, { dir, files: demo ? [demo.file] : regions });
  const connections = relay instanceof NativeRelay ? new Connections(relay, blockListOf(unaskable)) : undefined;
  const inFlight = () => relay.references().some(({ state }) => state !== 'quarantined');
  return {
    relay,
    catalog,
    outgoing: new Outgoing(relay, connections, engine, maxHold),
    digests: new Digests(relay),
    metrics: new Metrics(relay),
    inFlight,
    async close(deadline) {
      while (inFlight() && performance.now() < deadline) await delay(pollMilliseconds);
      catalog.close();
      await relay.close();
      demo?.close();
    },
  };
}
