/**
 * Room for new connections. Where there are as many as there may be, the one closes that has been idle longest, as nginx
 * has it; where none is idle, the new one is refused. Lanes do the same with those that they accept
 * (native-shim/core/lanes/room.h), and ask for those that Node has.
 *
 * @module
 */
import { closeSync, openSync } from 'node:fs';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { LimitReason } from '../limits/limits.ts';
import { onceEnded } from '../observe/response-end.ts';
import { usableDescriptors } from '../relay/descriptors.ts';
import type { Clients } from './clients.ts';
import { isAnswering } from './internals.ts';

/** What who is refused gets. Without a body: whoever has asked for a range could take it for that. */
export const refusal =
  'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';

/** The same for one connection too many of an address. */
export const refusalOfOne = refusal.replace('503 Service Unavailable', '429 Too Many Requests');

const lookMilliseconds = 250;
const mostAtOnce = 16;

/** How many connections a server may have. */
export type ConnectionLimit = {
  /** Undefined: as many as there are descriptors for. */
  readonly most: number | undefined;
  /** Descriptors that are in use for other things; to ask for it costs more than to accept a connection. */
  readonly others: () => number;
  /** Descriptors that are kept free; undefined: as `usableDescriptors` has it. */
  readonly reserveDescriptors?: number | undefined;
  /** Whether memory is short: nobody is let in then. */
  readonly isShort?: () => boolean;
  /** How many those are at most, but for files that connections still hold, one each. */
  readonly mostOthers: number;
};

/** The connections that Node has of one server. */
export class Room {
  readonly #server: Server;
  readonly #clients: Clients | undefined;
  readonly #tell: (what: LimitReason) => void;
  readonly #open = new Set<Socket>();
  /** Those on which no request is under way, the one that has been so for longest first. */
  readonly #idle = new Set<Socket>();
  #descriptors = 0;
  #limit: ConnectionLimit | undefined;

  /**
   * @param clients says how many connections each of them may have
   * @param tell is told of each connection that Node closes for want of room
   */
  constructor(server: Server, tell: (what: LimitReason) => void, clients?: Clients) {
    this.#server = server;
    this.#clients = clients;
    this.#tell = tell;
    server.on('connection', (socket: Socket) => this.#arrived(socket));
    server.on('request', ({ socket }, response: ServerResponse) => {
      this.#idle.delete(socket);
      onceEnded(response, () => this.#answered(socket));
    });
  }

  /** From now on there may be so many. */
  limit(limit: ConnectionLimit): void {
    this.#limit = limit;
    this.#descriptors = usableDescriptors(limit.reserveDescriptors);
    const timer = setInterval(() => this.#keepReserve(), lookMilliseconds).unref();
    this.#server.once('close', () => clearInterval(timer));
  }

  /** Lanes accept from now on, and refuse. */
  leaveToLanes(): void {
    this.#limit = undefined;
  }

  /** How many connections Node has. */
  get size(): number {
    return this.#open.size;
  }

  /** Those on which no request is under way. */
  idle(): Socket[] {
    return [...this.#idle];
  }

  /** Closes the connection that has been idle longest. Whether there was one. */
  closeIdle(): boolean {
    for (const socket of this.#idle) {
      this.#idle.delete(socket);
      if (socket.destroyed || isAnswering(socket)) continue;
      this.#open.delete(socket);
      socket.destroy();
      this.#tell('idle_closed');
      return true;
    }
    return false;
  }

  #arrived(socket: Socket): void {
    if (this.#clients?.arrived(socket) === false) {
      refuse(socket, refusalOfOne);
      return;
    }
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#idle.delete(socket);
    });
    if (this.#limit?.isShort?.()) {
      this.closeIdle();
      this.#refuse(socket, 'memory');
      return;
    }
    let hasRoom = this.#hasRoom();
    while (!hasRoom && this.closeIdle()) hasRoom = this.#hasRoom();
    if (hasRoom) this.#idle.add(socket);
    else this.#refuse(socket, 'connections');
  }

  // One that has read a region costs two: the relay has a descriptor of its own.
  #hasRoom(): boolean {
    if (!this.#limit) return true;
    const { most = Number.POSITIVE_INFINITY, others, mostOthers } = this.#limit;
    const { size } = this.#open;
    if (size > most) return false;
    return 3 * size + mostOthers <= this.#descriptors || 2 * size + others() <= this.#descriptors;
  }

  // Of a connection for which there is no descriptor at all Node tells nobody, so nothing else may use up what is kept.
  #keepReserve(): void {
    if (!this.#limit) return;
    for (let left = mostAtOnce; left > 0 && lowestFree() >= this.#descriptors && this.closeIdle(); left--);
  }

  #refuse(socket: Socket, why: LimitReason): void {
    this.#tell(why);
    refuse(socket, refusal);
  }

  // A lane that reads on has marked it; and so has the next request of a pipeline.
  #answered(socket: Socket): void {
    if (!socket.destroyed && !isAnswering(socket)) this.#idle.add(socket);
  }
}

function refuse(socket: Socket, answer: string): void {
  socket.write(answer);
  socket.destroySoon();
}

// The descriptor that the next file or connection would have; Infinity where there is none.
function lowestFree(): number {
  try {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
