/**
 * Where a service listens. Its HTTP server, which Fastify has listen, is at the first of these places; servers of plain
 * connections are at the others, and give it what they accept.
 *
 * @module
 */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import type { Server } from 'node:http';
import { type AddressInfo, createServer, type ListenOptions, type Server as NetServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { FastifyInstance, FastifyListenOptions } from 'fastify';
import { type ArrivedBy, arrivedBy, noteArrival } from '../http/guard/arrived-by.ts';
import { isLoopbackAddress } from '../http/guard/loopback-host.ts';
import type { TrustedProxies } from '../http/guard/trusted-proxies.ts';
import { NativeRelay } from '../relay/native-relay.ts';
import type { Relay } from '../relay/relay.ts';
import { awaitProxyHeader } from './proxy-header.ts';
import { removeStale } from './unix-path.ts';

/** A place to listen at: an address and a port, the path of a unix socket, or a listening socket that was inherited. */
export type Place =
  | { readonly host: string; readonly port: number }
  | { readonly path: string; readonly mode?: number | undefined }
  | { readonly fd: number };

/** A place, and how to listen there. */
export type ListenAt = {
  /** As it was written, for messages. */
  readonly text: string;
  readonly place: Place;
  /** The network device by which alone it is reached (SO_BINDTODEVICE). */
  readonly device?: string | undefined;
  /** The NUMA node whose lanes accept there. */
  readonly node?: number | undefined;
  /** Whether trusted proxies begin with a header of the PROXY protocol there. */
  readonly takesProxy?: boolean | undefined;
  /** Whether it is for those who watch and administer. Where there is such a place, all others serve regions and health alone. */
  readonly isAdmin?: boolean | undefined;
};

/** A listener that is open. */
export type Listener = ArrivedBy & {
  readonly server: NetServer;
  readonly at: ListenAt;
  /** How it is found: `http://127.0.0.1:8080`, or `unix:` and a path. */
  readonly where: string;
  /** The file of a unix socket that this process has made, or the one whose place it has taken, and removes. */
  readonly path: string | undefined;
  /** Whether its socket listened before this process had it. */
  readonly isInherited: boolean;
};

/** A place by which two processes of one command line mean the same socket. */
export function keyOf({ place, device = '' }: ListenAt): string {
  if ('fd' in place) return `fd:${place.fd}`;
  return 'path' in place ? `unix:${place.path}` : `${place.host} ${place.port} ${device}`;
}

/** The listeners of one HTTP server. */
export class Listeners {
  readonly #server: Server;
  readonly #relay: Relay;
  readonly #others: Listener[] = [];
  /** Descriptors of sockets that listen already, by `keyOf` their places. */
  inherited: ReadonlyMap<string, number> = new Map();
  readonly #proxies: TrustedProxies;
  /** Those whose header has not come yet. */
  readonly #awaited = new Set<Socket>();
  #first: Listener | undefined;
  #hasAdmin = false;
  #closed: Promise<unknown> | undefined;

  constructor(server: Server, relay: Relay, proxies: TrustedProxies) {
    this.#server = server;
    this.#relay = relay;
    this.#proxies = proxies;
    this.#comeBefore(server);
    server.once('listening', () => {
      this.#first ??= describe(server, undefined);
    });
  }

  /** All that are open. Lanes call each by its place in this list. */
  get all(): readonly Listener[] {
    return this.#first ? [this.#first, ...this.#others] : this.#others;
  }

  /**
   * Listens at all of these places.
   *
   * @throws Error with a `code` when one of them can't be had
   */
  async open(app: FastifyInstance, places: readonly ListenAt[]): Promise<void> {
    await app.ready();
    const [first, ...others] = await resolveNames(places);
    if (!first) return;
    for (const at of places) this.#checkNode(at);
    this.#hasAdmin = places.some(({ isAdmin }) => isAdmin);
    for (const at of others) {
      await this.#add(at).catch((error: NodeJS.ErrnoException) => {
        if (!at.mayMiss || !missing.has(error.code)) throw error;
      });
    }
    const options = await this.#optionsFor(first);
    this.#tellPath(this.#server, first);
    this.#server.once('listening', () => {
      this.#first = describe(this.#server, first, this.#traitsOf(first));
    });
    // Where no host is named, Fastify would listen at every address of `localhost`; a descriptor needs none.
    const listen = 'path' in options ? options : { host: '127.0.0.1', ...options };
    await app.listen(listen as FastifyListenOptions);
    setMode(first);
    for (const { where } of this.#others) app.log.info(`Server listening at ${where}`);
  }

  #checkNode({ node, text }: ListenAt): void {
    if (node === undefined || !(this.#relay instanceof NativeRelay)) return;
    const nodes = [...new Set(this.#relay.lanes().map((lane) => lane.node))];
    if (nodes.includes(node)) return;
    const message = `listen at ${text}: no lane sits on NUMA node ${node}, but on ${nodes.join(' and ')}`;
    throw Object.assign(new Error(message), { code: 'ENODEV' });
  }

  // What the HTTP server itself accepts is told to nobody before it is known who it is.
  #comeBefore(server: Server): void {
    const emit = server.emit;
    server.emit = (event: string, ...values: unknown[]) => {
      const [socket] = values;
      const isNew = event === 'connection' && this.#first !== undefined && !arrivedBy(socket as Socket);
      if (!isNew || !this.#first) return Reflect.apply(emit, server, [event, ...values]);
      this.#arrived(socket as Socket, this.#first);
      return true;
    };
  }

  #arrived(socket: Socket, listener: Listener): void {
    noteArrival(socket, listener);
    const welcome = () => {
      this.#awaited.delete(socket);
      this.#server.emit('connection', socket);
    };
    if (!listener.at.takesProxy || !this.#proxies.trusts(socket.remoteAddress)) {
      welcome();
      return;
    }
    this.#awaited.add(socket);
    socket.once('close', () => this.#awaited.delete(socket));
    awaitProxyHeader(socket, this.#server.headersTimeout, welcome);
  }

  /** Accepts nobody any more, but for the HTTP server itself. Resolves when what was accepted has ended. */
  close(): Promise<unknown> {
    for (const socket of this.#awaited) socket.destroy();
    this.#closed ??= Promise.all(this.#others.map(({ server }) => closed(server)));
    return this.#closed;
  }

  async #add(at: ListenAt): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const options = await this.#optionsFor(at);
    this.#tellPath(server, at);
    await once(server.listen(options), 'listening');
    const listener = describe(server, at, this.#traitsOf(at));
    this.#others.push(listener);
    setMode(at);
    server.on('connection', (socket) => this.#arrived(socket, listener));
  }

  #traitsOf(at: ListenAt): Pick<Listener, 'servesAll' | 'isInherited'> {
    return { servesAll: at.isAdmin === true || !this.#hasAdmin, isInherited: this.inherited.has(keyOf(at)) };
  }

  async #optionsFor(at: ListenAt): Promise<ListenOptions & { fd?: number }> {
    const { place, device } = at;
    const inherited = this.inherited.get(keyOf(at));
    if (inherited !== undefined) return { fd: inherited };
    if ('fd' in place) return { fd: place.fd };
    if ('path' in place) {
      await removeStale(place.path);
      return { path: place.path };
    }
    if (device === undefined) return { ...place };
    if (this.#relay instanceof NativeRelay) return { fd: this.#relay.listenBy(device, place.host, place.port) };
    throw Object.assign(new Error('listening by a network device needs the native shim'), { code: 'ENOTSUP' });
  }

  // Node does not know the path of a unix socket that it has not made, and Fastify wants an address.
  #tellPath(server: NetServer, at: ListenAt): void {
    const fd = this.inherited.get(keyOf(at)) ?? ('fd' in at.place ? at.place.fd : undefined);
    if (fd === undefined) return;
    const own = server.address;
    const path = this.#relay instanceof NativeRelay ? this.#relay.pathOfListener(fd) : '';
    server.address = () => (server.listening ? (own.call(server) ?? path) : null);
  }
}

/** What a server that listens is as a listener. @param at undefined where it was had listen by somebody else */
export function describe(
  server: NetServer,
  at: ListenAt | undefined,
  options: Pick<Listener, 'servesAll' | 'isInherited'> = { servesAll: true, isInherited: false },
): Listener {
  const address = server.address();
  const isPath = typeof address === 'string';
  const where = isPath ? `unix:${address}` : originOf(address as AddressInfo);
  const isLoopback = !isPath && (isLoopbackAddress((address as AddressInfo).address) || isLoopbackDevice(at?.device));
  const path = isPath && !(at && 'fd' in at.place) ? address : undefined;
  const place = isPath ? { path: address } : { host: '', port: 0 };
  return { server, at: at ?? { place, text: where }, where, isLoopback, path, ...options };
}

// Whoever comes by it is on this machine, whatever the address.
function isLoopbackDevice(device: string | undefined): boolean {
  return networkInterfaces()[device ?? '']?.every(({ internal }) => internal) ?? false;
}

function originOf({ address, port, family }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function setMode({ place }: ListenAt): void {
  if ('path' in place && place.mode !== undefined) chmodSync(place.path, place.mode);
}

function closed(server: NetServer): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers();
  server.close(resolve);
  return promise;
}

/** What a machine says of an address that it does not have, or of a family. */
const missing: ReadonlySet<string | undefined> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** One address of a name; of all but the first it does not matter whether this machine has it. */
type Resolved = ListenAt & { readonly mayMiss?: boolean };

/** A name is all addresses that it has. One with port 0 is its first address alone: the others would have other ports. */
async function resolveNames(places: readonly ListenAt[]): Promise<Resolved[]> {
  const resolved = places.map(async (at) => {
    const { place } = at;
    if (!('host' in place)) return [at];
    const found = await lookup(place.host, { all: true, order: 'ipv4first' });
    const addresses = [...new Set(found.map(({ address }) => address))].slice(0, place.port === 0 ? 1 : undefined);
    return addresses.map((host, index) => ({ ...at, place: { host, port: place.port }, mayMiss: index > 0 }));
  });
  return (await Promise.all(resolved)).flat();
}
