/** A process that takes the place of the one that has started it. @module */
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
    service.succession.inherit(this.sockets);
    const told = Promise.race([channel.next('take'), channel.next('stop')]);
    this.#follow(service);
    await channel.send({ kind: 'ready', tree: takeover.tree }).catch(() => {});
    const first = await told;
    if (first?.kind === 'stop') return false;
    if (first)
      await takeover.take(first.given, { lease: (id, pages) => this.#lease(id, pages), end: (id) => this.#end(id) });
    channel.tell({ kind: 'taken' });
    await takeover.resume(first?.given ?? { writer: undefined, files: [] });
    return true;
  }

  /** The service listens: what the other process has sent meanwhile is its own. */
  open(): void {
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
      channel.tell({ kind: 'answer', id, answer: await succession.answer(request) });
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
