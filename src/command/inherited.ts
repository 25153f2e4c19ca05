/** A process that takes the place of the one that has started it. @module */
import { closeSync } from 'node:fs';
import type { PagesAsked } from '../region/change/predecessor.ts';
import type { Service } from '../service.ts';
import { Channel } from './channel.ts';

const variable = 'PAGERELAY_SUCCEEDS';

/** What a process is started with that is to take this one's place. @param sockets the keys of those that it inherits */
export function inheritance(sockets: readonly string[]): Readonly<Record<string, string>> {
  return { [variable]: JSON.stringify(sockets) };
}

/** Where Node puts the first descriptor beyond the usual three. */
const firstDescriptor = 3;

/** What is answered where nothing else can be. */
const failed = { status: 503, headers: { 'retry-after': '1' }, body: new Uint8Array() };

/** What this process has of the one whose place it takes. */
export class Inherited {
  /** The descriptors of the sockets that it listened by, by what they are called. */
  readonly sockets: ReadonlyMap<string, number>;
  /** Whether the other process has ended. */
  hasEnded = false;
  readonly #channel: Channel;
  readonly #leases = new Map<number, PromiseWithResolvers<boolean>>();
  readonly #open = Promise.withResolvers<void>();

  private constructor(channel: Channel, sockets: readonly string[]) {
    this.#channel = channel;
    this.sockets = new Map(sockets.map((key, index) => [key, firstDescriptor + index]));
  }

  /** Undefined in a process that takes nobody's place. */
  static take(): Inherited | undefined {
    const sockets = process.env[variable];
    delete process.env[variable]; // It is not for those that this one starts.
    if (sockets === undefined || process.send === undefined) return undefined;
    return new Inherited(new Channel(process), JSON.parse(sockets) as string[]);
  }

  /**
   * Tells the other process that this one is ready. Resolves when regions are to be answered for here; where that one dies
   * before, this one starts as after a crash.
   *
   * @returns false when it is to end instead
   */
  async takeOver(service: Service): Promise<boolean> {
    const channel = this.#channel;
    const { takeover } = service;
    const told = Promise.race([channel.next('take'), channel.next('stop')]);
    this.#follow(service);
    await channel.send({ kind: 'ready', tree: takeover.tree }).catch(() => {});
    const first = await told;
    if (first?.kind === 'stop') return false;
    if (first) takeover.take(first.given, { lease: (id, pages) => this.#lease(id, pages), end: (id) => this.#end(id) });
    const go = channel.next('go');
    channel.tell({ kind: 'taken' });
    await go; // Where the other one dies before, nothing has changed since it told what it knew.
    if (first) await takeover.keepLock(first.given);
    channel.tell({ kind: 'locked' });
    await takeover.resume(first?.given ?? { writer: undefined, files: [] });
    return true;
  }

  /** The service listens: what the other process has sent meanwhile is its own. @param used sockets that it listens by */
  open(used: ReadonlySet<string>): void {
    for (const [key, fd] of this.sockets) if (!used.has(key)) closeSync(fd); // Nobody listens there any more.
    this.#channel.unref();
    this.#open.resolve();
  }

  /** This process ends: it hears of the other one no more. */
  close(): void {
    this.#channel.close();
  }

  #follow({ takeover, succession }: Service): void {
    const channel = this.#channel;
    let isClean = false;
    channel.on('connection', async ({ by, unanswered }, handle) => {
      await this.#open.promise;
      if (handle) succession.admit(handle, by, Buffer.from(unanswered));
    });
    channel.on('request', async ({ id, request }) => {
      await this.#open.promise;
      const answer = await succession.answer(request).catch(() => failed);
      channel.tell({ kind: 'answer', id, answer });
    });
    channel.on('leased', ({ id, had }) => this.#leases.get(id)?.resolve(had));
    channel.on('released', ({ files }) => takeover.released(files));
    channel.on('bye', () => {
      isClean = true;
    });
    void channel.closed.then(() => {
      this.hasEnded = true;
      for (const { reject } of this.#leases.values()) reject(new Error('the other process has ended'));
      takeover.ended(!isClean);
    });
  }

  #lease(id: number, pages: PagesAsked): Promise<boolean> {
    const lease = Promise.withResolvers<boolean>();
    this.#leases.set(id, lease);
    this.#channel.send({ kind: 'lease', id, pages }).catch(lease.reject);
    return lease.promise;
  }

  #end(id: number): void {
    this.#leases.delete(id);
    this.#channel.tell({ kind: 'end', id });
  }
}
