/**
 * Clients, by their addresses: how many connections each has, and how often it may still ask. This is for connections that
 * Node has accepted; what lanes have accepted is counted there, by the same rules (native-shim/core/wire/client.h).
 *
 * @module
 */
import type { IncomingMessage } from 'node:http';
import { isIPv4, type Socket } from 'node:net';
import { TrustedProxies } from '../http/guard/trusted-proxies.ts';
import type { LimitReason, Limits, LimitsByPlace } from '../limits/limits.ts';

/** Of those without a connection, so many are remembered; the one that left first is forgotten. */
const mostWaiting = 16_384;

/** Who a connection counts for. */
export type ClientKey = { readonly name: string; readonly isHere: boolean };

/**
 * The one place that says which client an address is: IPv6 counts by its network (/64), but for addresses of one link, and
 * IPv4 is the same mapped into it. All that come by a unix socket, and so have no address, are one.
 */
export function clientKeyOf(address: string | undefined): ClientKey {
  if (address === undefined) return { name: 'unix', isHere: true };
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/i, '');
  if (isIPv4(plain)) return { name: plain, isHere: plain.startsWith('127.') };
  const groups = groupsOf(plain.split('%', 1)[0] ?? '');
  const isHere = groups.every((group, place) => group === (place === 7 ? 1 : 0));
  const isOfLink = ((groups[0] ?? 0) & 0xffc0) === 0xfe80;
  return { name: groups.slice(0, isOfLink || isHere ? 8 : 4).join(':'), isHere };
}

// RFC 4291 2.2, as Node writes addresses.
function groupsOf(address: string): number[] {
  const [first = [], last = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return [...first, ...zeros, ...last].map((group) => Number(`0x${group}`));
}

/** A connection that a lane has accepted, and where its requests are counted. */
export type CountedByLane = {
  /** Whether requests come from the lane, which has counted GET and HEAD. */
  readonly isRead: boolean;
  /** Counts one more, where it may be. */
  mayAsk(): boolean;
};

const byLane = new WeakMap<Socket, CountedByLane>();

/** From now on a connection counts as one of a lane. Before its server is told of it. */
export function countByLane(socket: Socket, counted: CountedByLane): void {
  byLane.set(socket, counted);
}

/** `fullAt`: milliseconds, when its bucket of requests is full again. */
type Client = { connections: number; fullAt: number };

/** The clients of one server. */
export class Clients {
  readonly #limits: LimitsByPlace;
  readonly #tell: (reason: LimitReason) => void;
  readonly #proxies: TrustedProxies;
  readonly #clients = new Map<string, Client>();
  /** Those without a connection, in the order of leaving. */
  readonly #waiting = new Map<string, Client>();

  /**
   * @param tell is told of each that is beyond a limit
   * @param proxies count for nobody, and their requests for whom they ask
   */
  constructor(limits: LimitsByPlace, tell: (reason: LimitReason) => void, proxies = new TrustedProxies([])) {
    this.#proxies = proxies;
    this.#limits = limits;
    this.#tell = tell;
  }

  /** How many are known. */
  get size(): number {
    return this.#clients.size;
  }

  /** A connection has come, and counts until it is closed. False: it is one too many. */
  arrived(socket: Socket): boolean {
    if (this.#proxies.trusts(socket.remoteAddress)) return true;
    const { limits, name } = this.#of(socket.remoteAddress);
    const { maxConnectionsPerAddress: most, requestsPerSecond } = limits;
    if (byLane.has(socket) || (most === 0 && requestsPerSecond === 0)) return true;
    const client = this.#clients.get(name) ?? { connections: 0, fullAt: 0 };
    if (most > 0 && client.connections >= most) {
      this.#tell('connections_per_address');
      return false;
    }
    client.connections++;
    this.#clients.set(name, client);
    this.#waiting.delete(name);
    socket.once('close', () => this.#left(name, client));
    return true;
  }

  /** Whether the client of a request may ask it, which counts then. */
  mayAsk(request: IncomingMessage): boolean {
    const { socket, method } = request;
    const lane = byLane.get(socket);
    if (lane?.isRead && (method === 'GET' || method === 'HEAD')) return true;
    const may = lane ? lane.mayAsk() : this.#mayAskOfNode(request);
    if (!may) this.#tell('requests_per_second');
    return may;
  }

  #mayAskOfNode({ socket, headers }: IncomingMessage): boolean {
    const peer = socket.remoteAddress;
    const address = this.#proxies.clientOfRequest(peer, headers);
    const { name, limits } = this.#of(address);
    if (limits.requestsPerSecond === 0) return true;
    const known = this.#clients.get(name);
    // Where it has no connection that is known, as in `inject()`, it is let be.
    if (!this.#proxies.trusts(peer)) return !known || takeOne(known, limits);
    if (this.#proxies.trusts(address)) return true;
    const client = known ?? { connections: 0, fullAt: 0 };
    this.#clients.set(name, client);
    const may = takeOne(client, limits);
    if (client.connections === 0) this.#wait(name, client);
    return may;
  }

  #of(address: string | undefined): { readonly name: string; readonly limits: Limits } {
    const { name, isHere } = clientKeyOf(address);
    return { name, limits: isHere ? this.#limits.here : this.#limits.elsewhere };
  }

  #left(name: string, client: Client): void {
    if (--client.connections === 0) this.#wait(name, client);
  }

  // It has no connection.
  #wait(name: string, client: Client): void {
    const now = performance.now();
    this.#waiting.delete(name);
    if (client.fullAt > now) this.#waiting.set(name, client);
    else this.#clients.delete(name);
    for (const [first, { fullAt }] of this.#waiting) {
      if (fullAt > now && this.#waiting.size <= mostWaiting) return;
      this.#waiting.delete(first);
      this.#clients.delete(first);
    }
  }
}

/** Milliseconds. */
const rounding = 1e-6;

// The generic cell rate algorithm (ITU-T I.371).
function takeOne(client: Client, limits: Limits): boolean {
  const now = performance.now();
  const each = 1000 / limits.requestsPerSecond;
  const next = Math.max(client.fullAt, now) + each;
  if (next - now > burstOf(limits) * each + rounding) return false;
  client.fullAt = next;
  return true;
}

function burstOf({ requestBurst, requestsPerSecond }: Limits): number {
  return requestBurst > 0 ? requestBurst : 2 * requestsPerSecond;
}
