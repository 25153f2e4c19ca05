/**
 * Breaks off clients that take some of what Node itself sends, but too little. Bytes that lanes send are theirs to watch, by
 * the same rule (native-shim/core/wire/rate.h).
 *
 * @module
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** So often within the time that is given, it is looked how much was taken. */
const looks = 8;

/** How many bytes a client has to take that takes any, over so many seconds. */
export type LeastRate = { readonly minRate: number; readonly minRateGrace: number };

/** What one client takes, by windows: one opens when bytes are seen to be taken, and is judged when its time is over. */
export class Taking {
  #from: number;
  #since: number | undefined;

  /** @param taken bytes, since the connection began */
  constructor(taken: number) {
    this.#from = taken;
  }

  /** Nothing is on its way: what is taken from now on counts. */
  rest(taken: number): void {
    this.#from = taken;
    this.#since = undefined;
  }

  /** Whether a window is over in which too little was taken. @param now seconds */
  isTooSlow(taken: number, now: number, { minRate, minRateGrace }: LeastRate): boolean {
    const inWindow = taken - this.#from;
    if (this.#since === undefined) {
      if (inWindow > 0) this.#since = now;
      return false;
    }
    if (now - this.#since < minRateGrace) return false;
    this.rest(taken);
    return inWindow < minRate * minRateGrace;
  }
}

/** @param onClose is told of each that is broken off */
export function boundRate(server: Server, least: LeastRate, onClose: () => void): void {
  if (least.minRate === 0) return;
  const connections = new Map<Socket, Taking>();
  server.on('connection', (socket: Socket) => {
    connections.set(socket, new Taking(takenOf(socket)));
    socket.once('close', () => connections.delete(socket));
  });
  const look = () => {
    const now = performance.now() / 1000;
    for (const [socket, taking] of connections) {
      const taken = takenOf(socket);
      if (socket.writableLength === 0) taking.rest(taken);
      else if (taking.isTooSlow(taken, now, least) && !socket.destroyed) {
        onClose();
        socket.destroy();
      }
    }
  };
  const timer = setInterval(look, (least.minRateGrace * 1000) / looks).unref();
  server.once('close', () => clearInterval(timer));
}

// Of a write that is under way it counts nothing before the kernel has all of it.
function takenOf(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}
