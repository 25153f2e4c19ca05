import { closeSync, constants, fstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type LimitReason, type Limits, type LimitsByPlace, unlimited } from '../limits/limits.ts';
import { DurationCounts } from './durations.ts';
import type { Segment } from './extent.ts';
import { isSameChange } from './file-identity.ts';
import { nothingCounted } from './nothing-counted.ts';
import { mostItems, type Page } from './page.ts';
import { attempt, identifyItself, inside, regularFile } from './portable-files.ts';
import { extentBytes, type Hold, type OpenGeneration, pageSize, pagesHeld, referenceOf } from './portable-hold.ts';
import { Reads } from './reads.ts';
import {
  type Claim,
  type Counters,
  type Engine,
  engines,
  type FileIdentity,
  type Generation,
  type JudgedContent,
  type Lane,
  type Opened,
  type Outcome,
  outcomes,
  type Reference,
  type ReferencesAsked,
  type Relay,
  SystemError,
  type TransmissionId,
  type Tree,
} from './relay.ts';
import { reopenDescriptor } from './reopen.ts';
import { type Seen, unseen } from './witness.ts';

/** So many files are looked at in one go. */
const looksAtOnce = 16;
/** All that it opens is taken for this. */
const anything: Seen = { backing: 'pagecache', verdicts: unseen };

/** A relay without the shim: the same references, kept here; bytes by ordinary reads, so every engine copies. */
export class PortableRelay implements Relay {
  readonly portableBecause: string;
  readonly #generations = new Map<number, OpenGeneration>();
  readonly #holds = new Map<TransmissionId, Hold>();
  readonly #reads = new Reads();
  readonly #sent = zeros(engines);
  readonly #sends = zeros(engines);
  readonly #copied = zeros(engines);
  readonly #transmissions = Object.fromEntries(engines.map((engine) => [engine, zeros(outcomes)])) as Record<
    Engine,
    Record<Outcome, number>
  >;
  readonly #accepted = new DurationCounts();
  readonly #done = new DurationCounts();
  readonly #limits: Limits;
  readonly #limited: Record<LimitReason, number> = { ...nothingCounted.limited };
  isClosed = false;
  #ids = 0;

  constructor(portableBecause: string, { elsewhere }: LimitsByPlace = unlimited) {
    this.portableBecause = portableBecause;
    this.#limits = elsewhere; // What may be held in all is alike everywhere.
  }

  openTree(path: string): Tree {
    const real = attempt(path, () => realpathSync(path));
    return { id: ++this.#ids, path: real, root: real };
  }

  closeTree(): void {}

  identify(tree: Tree | undefined, path: string): FileIdentity {
    return attempt(path, () => regularFile(statSync(inside(tree, path), { bigint: true }), path));
  }

  identifySome(tree: Tree, folder: string, names: readonly string[]): (FileIdentity | number)[] {
    const path = folder === '' ? tree.path : inside(tree, folder);
    return names.slice(0, looksAtOnce).map((name) => identifyItself(join(path, name)));
  }

  isAt(generation: Generation, tree: Tree | undefined, path: string): boolean {
    const now = this.identify(tree, path);
    const { fileSize } = this.#generations.get(generation.id) ?? {};
    return now.size === fileSize && isSameChange(now, generation);
  }

  openGeneration(tree: Tree | undefined, path: string, limit = Number.POSITIVE_INFINITY): Generation {
    const judged = inside(tree, path);
    this.identify(tree, path); // A FIFO must not be opened: it would wait for a writer.
    const fd = attempt(path, () => openSync(judged, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)));
    const identity = regularFile(fstatSync(fd, { bigint: true }), path);
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
    const opened = { tree, path, fileSize: identity.size };
    this.#generations.set(generation.id, { ...generation, ...opened, epoch: 0, version: 0 });
    return generation;
  }

  openAgain(generation: Generation): Generation {
    return this.openGeneration(undefined, this.#descriptorOf(generation));
  }

  isUnchanged(generation: Generation): boolean {
    return this.isAt(generation, undefined, this.#descriptorOf(generation));
  }

  #descriptorOf({ id }: Generation): string {
    return `/proc/self/fd/${this.#generations.get(id)?.fd ?? 'closed'}`;
  }

  closeGeneration(generation: Generation): void {
    const open = this.#generations.get(generation.id);
    if (!open) return;
    open.closed = true;
    this.#settle(open);
  }

  takeOpened(): readonly Opened[] {
    return []; // It has no lanes.
  }

  hold(
    judged: JudgedContent,
    engine: Engine,
    segments: readonly Segment[],
    _place?: Claim,
    inPlace = false,
  ): TransmissionId | 'stale' {
    const generation = this.#generations.get(judged.generation.id);
    const isJudged = generation?.epoch === judged.epoch && generation.version === judged.version;
    if (!generation || generation.closed || !isJudged || (inPlace && !this.#isInPlace(generation))) return 'stale';
    const total = sum(segments.map(({ length }) => length));
    this.#admit(total);
    const now = performance.now();
    const times = { since: now, progressAt: now };
    const hold: Hold = { id: ++this.#ids, generation, engine, segments, ...times, total, left: total };
    generation.references++;
    this.#holds.set(hold.id, hold);
    return hold.id;
  }

  // As native-shim/core/pages/admission.h has it.
  #admit(bytes: number): void {
    const { maxTransmissions, maxHeldBytes } = this.#limits;
    const most = Math.max(1, Math.floor(maxHeldBytes / 2));
    const counted = (held: number) => Math.min(held, most);
    if (maxTransmissions > 0 && this.#holds.size >= maxTransmissions) this.#refuse('transmissions');
    if (maxHeldBytes === 0) return;
    const held = sum([...this.#holds.values()].map(({ left }) => counted(left)));
    if (held + counted(bytes) > maxHeldBytes) this.#refuse('held_bytes');
  }

  #refuse(reason: LimitReason): never {
    this.#limited[reason]++;
    throw new SystemError('ETOOMANYREFS', 'hold');
  }

  #isInPlace(generation: OpenGeneration): boolean {
    try {
      return this.isAt(generation, generation.tree, generation.path);
    } catch (error) {
      if (error instanceof SystemError) return false;
      throw error;
    }
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
    hold.progressAt = performance.now();
    this.#sent[hold.engine] += bytes;
    this.#sends[hold.engine]++;
    this.#copied[hold.engine] += extentBytes(hold.segments, before, before + bytes);
  }

  release(transmission: TransmissionId, outcome: Outcome): void {
    const hold = this.#holds.get(transmission);
    if (!hold) return;
    this.#holds.delete(transmission);
    this.#transmissions[hold.engine][outcome]++;
    const seconds = (performance.now() - hold.since) / 1000;
    this.#done.add(seconds);
    if (outcome === 'complete') this.#accepted.add(seconds);
    hold.generation.references--;
    this.#settle(hold.generation);
  }

  // Ids grow, so those of the map are in their order.
  references({ generation, after = 0, limit = mostItems }: ReferencesAsked = {}): Page<Reference, TransmissionId> {
    const items: Reference[] = [];
    for (const hold of this.#holds.values()) {
      if (hold.id <= after || (generation !== undefined && hold.generation.id !== generation)) continue;
      if (items.length === limit) return { items, next: items.at(-1)?.id };
      items.push(referenceOf(hold));
    }
    return { items, next: undefined };
  }

  isKnown(generation: Generation['id']): boolean {
    return this.#generations.has(generation);
  }

  counters(): Counters {
    const holds = [...this.#holds.values()];
    const sending = holds.filter(({ left, total }) => left < total);
    const now = performance.now();
    const progressAt = Math.min(...holds.map((hold) => hold.progressAt), now);
    return {
      ...nothingCounted,
      sentBytes: this.#sent,
      sends: this.#sends,
      copiedBytes: this.#copied,
      bytesByLocality: { local: 0, remote: 0, unknown: sum(Object.values(this.#sent)) },
      transmissions: this.#transmissions,
      acceptedSeconds: this.#accepted.counted,
      holdSeconds: this.#done.counted,
      inFlight: { ...nothingCounted.inFlight, held: holds.length - sending.length, sending: sending.length },
      references: holds.length,
      heldBytes: sum(holds.map(({ left }) => left)),
      heldPages: sum(holds.map(({ segments, total, left }) => pagesHeld(segments, total - left))),
      stalledSeconds: (now - progressAt) / 1000,
      limited: this.#limited,
      waits: { writer: nothingCounted.holdSeconds, reader: nothingCounted.holdSeconds },
    };
  }

  lanes(): readonly Lane[] {
    return [];
  }

  seen(): readonly Seen[] {
    return [];
  }

  seenOn(): Seen {
    return anything;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.#reads.ended();
    for (const id of [...this.#holds.keys()]) this.release(id, 'cancelled');
    for (const generation of [...this.#generations.values()]) this.closeGeneration(generation);
  }

  #settle(generation: OpenGeneration): void {
    if (!generation.closed || generation.references > 0) return;
    this.#generations.delete(generation.id);
    closeSync(generation.fd);
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
