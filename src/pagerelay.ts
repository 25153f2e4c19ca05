/** One relay over one catalog, and all that answering with its regions needs. @module */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { followTree } from './followed-tree.ts';
import { Outgoing } from './http/read/outgoing.ts';
import { Publisher } from './http/read/publish.ts';
import { Successor } from './http/write/forwarding.ts';
import type { Writer } from './http/write/writer.ts';
import { Connections } from './node/connection.ts';
import { Metrics } from './observe/metrics.ts';
import type { RegionCounts, RegionEngine } from './observe/region-metrics.ts';
import { Catalog, type NamedFile } from './region/catalog.ts';
import { Leases } from './region/change/leases.ts';
import { Quota } from './region/change/quota.ts';
import { Refusal } from './region/change/refusal.ts';
import { Start } from './region/change/start.ts';
import { checkWritable, makeStore, NotWritable, type Report } from './region/change/store.ts';
import { syncRegion } from './region/change/sync-region.ts';
import { makeDemo } from './region/demo.ts';
import { DescribedFiles } from './region/described-files.ts';
import { Digests } from './region/digest.ts';
import { FileTags } from './region/file-tags.ts';
import { KeptVersions } from './region/kept-versions.ts';
import type { Dotfiles } from './region/name.ts';
import type { DamagedSidecar } from './region/sidecar.ts';
import { sidecarFolder, statePaths } from './region/state-folder.ts';
import { RegionStates } from './region/states.ts';
import { TreeLock } from './region/tree-lock.ts';
import { TreeWatch } from './region/tree-watch.ts';
import { within } from './region/within.ts';
import { type AddressBlock, blockListOf } from './relay/address-block.ts';
import type { EngineChoice, EngineOfSources } from './relay/engine.ts';
import { NativeRelay } from './relay/native-relay.ts';
import { openRelay, type RelayOptions } from './relay/open-relay.ts';
import type { Durability } from './relay/overwriting.ts';
import type { Relay, Tree } from './relay/relay.ts';
import { enginesOfSources } from './sources.ts';
import { Takeover } from './takeover.ts';

/** Who may read what lanes answer by themselves. */
export type Express = {
  /** Whether whoever has this Authorization may; undefined: everybody may. */
  readonly mayRead: ((authorization: string | undefined) => boolean) | undefined;
};

/** What is served, and how. */
export type OpenOptions = RelayOptions & {
  readonly dir: string | undefined;
  readonly regions: readonly NamedFile[];
  /** Whether entity-tags of files that others made are told by size and mtime alone, alike on all machines. */
  readonly portableEtags: boolean;
  readonly engine: EngineChoice;
  /** Whether lanes answer requests by themselves (docs/express.md), and who may read then; undefined: they don't. */
  readonly express: Express | undefined;
  /** Bytes: shorter bodies are copied; and, by lanes, the same of what is the first that is sent on its connection. */
  readonly copyBelow: number;
  readonly copyFirstBelow: number;
  /** Peers that may be in this kernel, out of its sight: they get copies. */
  readonly unaskable: readonly AddressBlock[];
  /** Whether names may have segments that begin with a dot. Default `allow`. */
  readonly dotfiles?: Dotfiles | undefined;
  /** Seconds that a version is served under its own URL after the region was replaced; 0: not at all. */
  readonly keepVersions: number;
  /** Bytes that these versions have together at most. */
  readonly keepBytes: number;
  /** Whether the regions of `dir` can be changed. */
  readonly writable: boolean;
  /** Bytes: the largest region whose digest is computed. */
  readonly maxDigestBytes: number;
  /** Bytes: the largest overwrite in place. */
  readonly maxPartial: number;
  /** When the bytes of an overwrite in place are on their medium. */
  readonly durability: Durability;
  /** Seconds that a reader waits for writers before it is refused. */
  readonly maxWait: number;
  /** Bytes that the regions of `dir` may have in all; undefined for no quota. */
  readonly maxBytes: number | undefined;
  /** Whether it takes the place of another process, which still changes the tree until it hands that over. */
  readonly succeeds?: boolean | undefined;
  /** Whether this is only a look at what would be served: nothing is read, so the tree is not locked, and nothing is made in it. */
  readonly isTrial?: boolean | undefined;
  /** Is told what someone who reads the log should know of. */
  readonly report: Report;
  /** Lines of the access log that were lost; undefined where there is none of our own. */
  readonly lostLines?: (() => number) | undefined;
};

/** Regions that are open and can be answered with. */
export type Pagerelay = {
  readonly relay: Relay;
  readonly catalog: Catalog;
  /** Undefined where there is no tree. */
  readonly treeWatch: TreeWatch | undefined;
  readonly outgoing: Outgoing;
  /** Undefined where lanes answer nothing by themselves. */
  readonly publisher: Publisher | undefined;
  readonly digests: Digests;
  readonly metrics: Metrics;
  /** Undefined where there is no tree. */
  readonly lock: TreeLock | undefined;
  /** Undefined where nothing can be changed. */
  readonly writer: Writer | undefined;
  /** Seconds that a reader waits for writers before it is refused. */
  readonly maxWait: number;
  /** How many ranges of one request are answered one by one; undefined: as many as by default. */
  readonly maxRanges: number | undefined;
  /** What becomes of all this when another process takes this one's place. */
  readonly takeover: Takeover;
  /** Resolves when regions may be read; nothing may be asked for before. */
  ready(): Promise<void>;
  /** How each backing of what is served is sent, for the log; tries engines where that was not done yet. */
  engines(): Promise<EngineOfSources[]>;
  /** Whether anything is on its way that somebody could still see change. */
  inFlight(): boolean;
  /** Waits until nothing is in flight or the deadline (`performance.now()`) has passed; then gives everything back. */
  close(deadline: number): Promise<void>;
};

const pollMilliseconds = 20;

/** What changes that are on their way are given to end, however late it is. */
const leastMilliseconds = 2000;

/**
 * Opens regions. Without `dir` and `regions` there is one, `demo`.
 *
 * @throws SystemError when one can't be opened; BadName; NameClash; NotWritable
 */
export function openPagerelay(options: OpenOptions): Pagerelay {
  const relay = openRelay(options);
  const closers: Closer[] = [() => relay.close()];
  try {
    return assemble(relay, options, closers);
  } catch (error) {
    for (const close of closers.toReversed()) void close();
    throw error;
  }
}

type Closer = () => void | Promise<void>;

function assemble(relay: Relay, options: OpenOptions, closers: Closer[]): Pagerelay {
  const { dir, regions, unaskable, dotfiles, keepVersions, keepBytes } = options;
  const demo = dir === undefined && regions.length === 0 ? makeDemo(relay) : undefined;
  if (demo) closers.push(demo.close);
  const tree = dir === undefined ? undefined : relay.openTree(dir);
  const tags = new FileTags(options.portableEtags);
  const states = tree && openStates(relay, tree, tags, options);
  const files = demo ? [demo.file] : regions;
  const kept = keepVersions > 0 ? new KeptVersions(relay, { seconds: keepVersions, bytes: keepBytes }) : undefined;
  const catalog = new Catalog(relay, { tree, files, states, tags, dotfiles, kept });
  closers.push(() => catalog.close());
  if (relay instanceof NativeRelay) relay.onOpened = () => catalog.laneHasOpened();
  const lock = tree && relay instanceof NativeRelay && !options.isTrial ? new TreeLock(relay, tree) : undefined;
  if (lock) closers.push(() => lock.close());
  const statesOf = (next: Tree) => openStates(relay, next, tags, options);
  const followed = { relay, catalog, lock, statesOf, withdraw: () => publisher?.withdraw() };
  const follow = options.writable ? undefined : (path: string) => followTree(followed, path);
  const treeWatch = tree && new TreeWatch(tree, dir ?? tree.path, { follow, report: options.report });
  if (treeWatch) closers.push(() => treeWatch.close());
  const writer = options.writable ? openWriter(relay, catalog, states, lock, treeWatch, options) : undefined;
  const connections = relay instanceof NativeRelay ? new Connections(relay, blockListOf(unaskable)) : undefined;
  const publisher = publisherFor(relay, catalog, options);
  catalog.onChange = (name) => publisher?.changed(name);
  const outgoing = new Outgoing(relay, connections, options);
  const digests = new Digests(relay, options.maxDigestBytes);
  closers.push(() => digests.close());
  const metrics = new Metrics(relay, {
    lostLines: options.lostLines,
    counts: countsOf(catalog, digests, writer),
    engines: () => outgoing.engines(),
    regions: () => enginesOfOpen(catalog, outgoing),
  });
  closers.push(() => metrics.close());
  outgoing.paces.onWait = () => metrics.countLimited('bandwidth');
  const inFlight = watchHeld(relay);
  const stopNow = (writer: Writer) => stop(writer, performance.now() + leastMilliseconds);
  const takeover = new Takeover({ relay, lock, writer, stop: stopNow });
  return {
    relay,
    catalog,
    treeWatch,
    outgoing,
    publisher,
    digests,
    metrics,
    lock,
    writer,
    maxWait: options.maxWait,
    maxRanges: options.limits?.elsewhere.maxRanges, // which is alike everywhere
    takeover,
    async ready() {
      if (tree && dotfiles !== 'deny') warnOfSecrets(tree, options.report);
      if (!options.succeeds) await writer?.start.begin();
    },
    engines: () => enginesOfSources(catalog, outgoing, files),
    inFlight,
    async close(deadline) {
      digests.close();
      kept?.close();
      while (inFlight() && performance.now() < deadline) await delay(pollMilliseconds);
      if (writer) await stop(writer, deadline);
      for (const close of closers.toReversed()) await close();
    },
  };
}

function publisherFor(relay: Relay, catalog: Catalog, options: OpenOptions): Publisher | undefined {
  const { express, copyBelow, copyFirstBelow, report } = options;
  if (!express || !(relay instanceof NativeRelay)) return undefined;
  return new Publisher(relay.answers, {
    ...{ copyBelow, copyFirstBelow, mayRead: express.mayRead, locate: (name) => catalog.locate(name) },
    onFault: (err) => report('lanes are told of further regions only as they are asked for', { err }),
  });
}

/** Files that people do not mean to publish, and have in a tree all the same: a repository often has credentials. */
const secrets = ['.git', '.env', '.htpasswd'] as const;

function warnOfSecrets(tree: Tree, report: Report): void {
  const files = secrets.filter((name) => existsSync(join(tree.path, name)));
  const hint = 'what is often secret is served: --dotfiles deny (plugin: dotfiles) keeps names with a leading dot back';
  if (files.length > 0) report(hint, { dir: tree.path, files });
}

/** What is looked at each time that somebody asks whether anything is in flight. */
const looksAtOnce = 100;

// Whether anything is held that is not quarantined. Each call looks at other references, for a lane with a slow peer
// looks seldom.
function watchHeld(relay: Relay): () => boolean {
  let after: number | undefined;
  return () => {
    after = relay.references({ after, limit: looksAtOnce }).next;
    const { references, quarantined } = relay.counters();
    return references > quarantined;
  };
}

function openStates(relay: Relay, tree: Tree, tags: FileTags, { writable, report }: OpenOptions): RegionStates {
  const files = writable && relay instanceof NativeRelay ? relay.files : undefined;
  const onDamage = (damage: DamagedSidecar) =>
    report('a damaged sidecar is not used', { path: damage.path, err: damage });
  const look = (sidecars: readonly string[]) => relay.identifySome(tree, sidecarFolder, sidecars);
  return new RegionStates(new DescribedFiles(statePaths(tree.root), files, onDamage, tags, look));
}

function openWriter(
  relay: Relay,
  catalog: Catalog,
  states: RegionStates | undefined,
  lock: TreeLock | undefined,
  treeWatch: TreeWatch | undefined,
  { maxPartial, maxBytes, durability, report }: OpenOptions,
): Writer {
  const { tree } = catalog;
  if (!tree || !states) throw new NotWritable('regions can only be changed in a tree: dir is missing');
  if (!(relay instanceof NativeRelay) || !lock) throw new NotWritable('changing regions needs the native shim');
  const paths = statePaths(tree.root);
  checkWritable(tree, paths);
  const quota = new Quota(maxBytes ?? Number.POSITIVE_INFINITY);
  const check = () => {
    if (treeWatch?.isThere() === false)
      throw new Refusal('tree-moved', 'It is served as it was opened, and not changed.');
  };
  const store = makeStore({ relay, catalog, states, quota, report }, { ...tree, paths, lock, check }, durability);
  const successor = new Successor(store.role);
  return { store, maxPartial, leases: new Leases(store), start: new Start(store), successor };
}

function* enginesOfOpen(catalog: Catalog, outgoing: Outgoing): Generator<RegionEngine> {
  for (const [region, open] of catalog.opened()) yield { region, ...outgoing.engineOf(open) };
}

function countsOf({ externalChanges, kept }: Catalog, digests: Digests, writer: Writer | undefined): RegionCounts {
  if (!writer) return { externalChanges, kept, digests, changes: undefined };
  const { store, leases } = writer;
  const changes = {
    overwrites: store.underway.overwrites,
    expiredLeases: () => leases.expired,
    oldGenerations: () => store.old.count,
    regionBytes: () => store.quota.used,
  };
  return { externalChanges, kept, digests, changes };
}

async function stop({ store, leases, start }: Writer, deadline: number): Promise<void> {
  await start.close();
  leases.close();
  const latest = Math.max(deadline, performance.now() + leastMilliseconds);
  await within(store.underway.ended(), latest - performance.now());
  await within(store.old.settled(), latest - performance.now());
  if (!store.role.isOurs) return; // Another process goes on with all that is known.
  try {
    if (store.overwriting.isUnsynced) {
      for (const name of store.states.changedInPlace()) await syncRegion(store, name);
    }
    await store.states.close();
  } catch (error) {
    store.report('versions of regions could not be written down: the next start takes this for a crash', {
      err: error,
    });
  }
}
