import { type BigIntStats, closeSync, constants, fstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { sep } from 'node:path';
import type { Segment } from '../range/plan.ts';
import { Reads } from './reads.ts';
import {
  type Claim,
  type Counters,
  type Engine,
  engines,
  type FileIdentity,
  type Generation,
  type JudgedContent,
  type Outcome,
  outcomes,
  type Reference,
  type Relay,
  SystemError,
  type TransmissionId,
  type Tree,
} from './relay.ts';
import { reopenDescriptor } from './reopen.ts';
import { type Seen, unseen } from './witness.ts';

const pageSize = 4096;
const holdBounds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300, Number.POSITIVE_INFINITY];

type OpenGeneration = Generation & {
  readonly fd: number;
  readonly fileSize: number;
  epoch: number;
  version: number;
  references: number;
  closed: boolean;
};
type Hold = {
  readonly id: TransmissionId;
  readonly generation: OpenGeneration;
  readonly engine: Engine;
  readonly segments: readonly Segment[];
  readonly total: number;
  readonly since: number;
  left: number;
};

/** A relay without the shim: the same references, kept here; bytes by ordinary reads, so every engine copies. */
export class PortableRelay implements Relay {
  readonly portableBecause: string;
  readonly #generations = new Map<number, OpenGeneration>();
  readonly #holds = new Map<TransmissionId, Hold>();
  readonly #reads = new Reads();
  readonly #sent = zeros(engines);
  readonly #copied = zeros(engines);
  readonly #transmissions = Object.fromEntries(engines.map((engine) => [engine, zeros(outcomes)])) as Record<
    Engine,
    Record<Outcome, number>
  >;
  readonly #holdsByTime = holdBounds.map(() => 0);
  #holdSeconds = 0;
  #ids = 0;

  constructor(portableBecause: string) {
    this.portableBecause = portableBecause;
  }

  openTree(path: string): Tree {
    return { id: ++this.#ids, path: attempt(path, () => realpathSync(path)) };
  }

  identify(tree: Tree | undefined, path: string): FileIdentity {
    return attempt(path, () => identityOf(statSync(inside(tree, path), { bigint: true }), path));
  }

  isAt(generation: Generation, tree: Tree | undefined, path: string): boolean {
    const now = this.identify(tree, path);
    const { fileSize } = this.#generations.get(generation.id) ?? {};
    const same = (['inode', 'device', 'modifiedSeconds', 'modifiedNanoseconds'] as const).every(
      (what) => now[what] === generation[what],
    );
    return same && now.size === fileSize;
  }

  openGeneration(tree: Tree | undefined, path: string, limit = Number.POSITIVE_INFINITY): Generation {
    const judged = inside(tree, path);
    this.identify(tree, path); // A FIFO must not be opened: it would wait for a writer.
    const fd = attempt(path, () => openSync(judged, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)));
    const identity = identityOf(fstatSync(fd, { bigint: true }), path);
    const generation = {
      ...identity,
      size: Math.min(identity.size, limit),
      id: ++this.#ids,
      pageSize,
      seen: unseen,
      backing: 'pagecache',
      node: -1,
      pagesByNode: {},
      fd,
      references: 0,
      closed: false,
    } as const;
    this.#generations.set(generation.id, { ...generation, fileSize: identity.size, epoch: 0, version: 0 });
    return generation;
  }

  closeGeneration(generation: Generation): void {
    const open = this.#generations.get(generation.id);
    if (!open) return;
    open.closed = true;
    this.#settle(open);
  }

  hold(judged: JudgedContent, engine: Engine, segments: readonly Segment[]): TransmissionId | 'stale' {
    const generation = this.#generations.get(judged.generation.id);
    const isJudged = generation?.epoch === judged.epoch && generation.version === judged.version;
    if (!generation || generation.closed || !isJudged) return 'stale';
    const total = sum(segments.map(({ length }) => length));
    const hold: Hold = { id: ++this.#ids, generation, engine, segments, since: performance.now(), total, left: total };
    generation.references++;
    this.#holds.set(hold.id, hold);
    return hold.id;
  }

  // Nothing but streams here, and nobody writes.
  changeToStream(): void {}
  onUnwanted(): void {}
  endPlace(): void {}

  judge(generation: Generation, epoch: number, version: number): JudgedContent {
    const open = this.#generations.get(generation.id);
    if (open) Object.assign(open, { epoch, version });
    return { generation, epoch, version };
  }

  place(): Claim {
    throw new SystemError('ENOSYS', 'place');
  }

  isSettled(judged: JudgedContent): boolean {
    return this.#generations.get(judged.generation.id)?.closed === false;
  }

  async read(generation: Generation, buffer: Uint8Array, offset: number): Promise<number> {
    const open = this.#generations.get(generation.id);
    if (!open) throw new SystemError('EBADF', 'read');
    return this.#reads.read(open.fd, buffer, offset);
  }

  reopen(generation: Generation): number | undefined {
    return reopenDescriptor(this.#generations.get(generation.id)?.fd ?? -1);
  }

  advance(transmission: TransmissionId, bytes: number): void {
    const hold = this.#holds.get(transmission);
    if (!hold || bytes > hold.left) throw new SystemError(hold ? 'ERANGE' : 'EBADF', 'advance');
    const before = hold.total - hold.left;
    hold.left -= bytes;
    this.#sent[hold.engine] += bytes;
    this.#copied[hold.engine] += extentBytes(hold.segments, before, before + bytes);
  }

  release(transmission: TransmissionId, outcome: Outcome): void {
    const hold = this.#holds.get(transmission);
    if (!hold) return;
    this.#holds.delete(transmission);
    this.#transmissions[hold.engine][outcome]++;
    this.#countHold((performance.now() - hold.since) / 1000);
    hold.generation.references--;
    this.#settle(hold.generation);
  }

  references(generation?: Generation): Reference[] {
    const holds = [...this.#holds.values()];
    return holds.filter((hold) => !generation || hold.generation.id === generation.id).map(referenceOf);
  }

  counters(): Counters {
    const held = sum([...this.#holds.values()].map(({ left }) => left));
    const buckets = holdBounds.map((bound, at) => [bound, this.#holdsByTime[at] ?? 0] as const);
    return {
      sentBytes: this.#sent,
      copiedBytes: this.#copied,
      bytesByLocality: { local: 0, remote: 0, unknown: sum(Object.values(this.#sent)) },
      transmissions: this.#transmissions,
      holdSeconds: { buckets, sum: this.#holdSeconds },
      references: this.#holds.size,
      heldBytes: held,
      ...{ quarantined: 0, quarantinedBytes: 0, connections: 0, brokenOff: 0 },
      ...{ inlineSends: 0, laneSends: 0, looks: 0, allocatedBytes: 0 },
      zerocopySends: { uncopied: 0, copied: 0, notTried: 0 },
      ...{ leases: 0, waitingWriters: 0, waitingReaders: 0, breaks: 0 },
      ...{ grants: 0, granted: 0, answers: { whole: 0, ranged: 0 }, returns: {} },
    };
  }

  seen(): readonly Seen[] {
    return [];
  }

  async close(): Promise<void> {
    await this.#reads.ended();
    for (const id of [...this.#holds.keys()]) this.release(id, 'cancelled');
    for (const generation of [...this.#generations.values()]) this.closeGeneration(generation);
  }

  #settle(generation: OpenGeneration): void {
    if (!generation.closed || generation.references > 0) return;
    this.#generations.delete(generation.id);
    closeSync(generation.fd);
  }

  #countHold(seconds: number): void {
    const bucket = holdBounds.findIndex((bound) => seconds <= bound);
    this.#holdsByTime[bucket] = (this.#holdsByTime[bucket] ?? 0) + 1;
    this.#holdSeconds += seconds;
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** How many bytes from `first` to before `end` of a body are the region's. */
function extentBytes(segments: readonly Segment[], first: number, end: number): number {
  let at = 0;
  let bytes = 0;
  for (const segment of segments) {
    const inside = Math.min(end, at + segment.length) - Math.max(first, at);
    if (typeof segment !== 'string') bytes += Math.max(0, inside);
    at += segment.length;
  }
  return bytes;
}

function attempt<Result>(what: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (error instanceof SystemError) throw error;
    throw new SystemError((error as NodeJS.ErrnoException).code ?? 'EIO', what, error);
  }
}

// Links are followed first and judged after: what they lead to must be in the tree.
function inside(tree: Tree | undefined, path: string): string {
  if (!tree) return path;
  const real = attempt(path, () => realpathSync(`${tree.path}${sep}${path}`));
  if (!real.startsWith(tree.path + sep)) throw new SystemError('EXDEV', path);
  return real;
}

function identityOf(status: BigIntStats, what: string): FileIdentity {
  if (!status.isFile()) throw new SystemError('EINVAL', what);
  return {
    device: Number(status.dev),
    inode: Number(status.ino),
    size: Number(status.size),
    modifiedSeconds: Number(status.mtimeNs / 1_000_000_000n),
    modifiedNanoseconds: Number(status.mtimeNs % 1_000_000_000n),
  };
}

function referenceOf(hold: Hold): Reference {
  const extents = hold.segments.filter((segment) => typeof segment !== 'string');
  const first = Math.min(...extents.map(({ offset }) => offset));
  const last = Math.max(...extents.map(({ offset, length }) => offset + length - 1));
  return {
    id: hold.id,
    generation: hold.generation.id,
    first,
    last,
    bytes: hold.left,
    state: 'unsent',
    engine: hold.engine,
    peer: '',
    peerKind: 'unaskable',
    ageSeconds: (performance.now() - hold.since) / 1000,
  };
}
