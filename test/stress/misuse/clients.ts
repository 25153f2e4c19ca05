/** Clients that misuse a service, each for as long as it is let. @module */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Whom they misuse. `sparse` is a large region without bytes on the disk, `small` one that can be read. */
export type Target = { readonly port: number; readonly sparse: string; readonly small: string };

/** One kind of misuse. It ends, and has closed what it opened, soon after the signal. */
export type Misuse = (target: Target, signal: AbortSignal) => Promise<void>;

const request = (method: string, path: string, fields = '') =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`;

/** A connection on which `text` is sent and nothing is read, made again whenever it was closed. */
async function sendUnread({ port }: Target, signal: AbortSignal, text: string): Promise<void> {
  while (!signal.aborted) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {}).pause();
    socket.write(text);
    await closed(socket, signal);
    socket.destroy();
    await pause(100, signal);
  }
}

/** A connection on which `text` is sent again and again, and all answers are read and thrown away. */
async function sendAndRead(
  { port }: Target,
  signal: AbortSignal,
  text: string,
  everyMilliseconds: number,
): Promise<void> {
  while (!signal.aborted) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {}).resume();
    while (!signal.aborted && !socket.destroyed) {
      socket.write(text);
      await pause(everyMilliseconds, signal);
    }
    socket.destroy();
  }
}

function closed(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => {});
}

const times = (count: number, act: () => Promise<void>) => Promise.all(Array.from({ length: count }, act));

/** What goes on at the same time, by name. */
export const misuses: Readonly<Record<string, Misuse>> = {
  async 'pipelined answers that nobody reads'(target, signal) {
    const text = request('GET', '/metrics').repeat(1600);
    await times(12, () => sendUnread(target, signal, text));
  },
  async 'pipelined ranges that nobody reads'(target, signal) {
    const text = request('GET', `/regions/${target.small}`, 'Range: bytes=0-4095\r\n').repeat(200);
    await times(20, () => sendUnread(target, signal, text));
  },
  async 'pipelined lists'(target, signal) {
    await sendAndRead(target, signal, request('GET', '/references').repeat(20), 500);
  },
  async 'pipelined metrics on one connection'(target, signal) {
    await sendAndRead(target, signal, request('GET', '/metrics').repeat(1600), 10_000);
  },
  async 'idle connections'(target, signal) {
    await times(300, () => sendUnread(target, signal, ''));
  },
  async 'digests that nobody waits for'(target, signal) {
    const text = request('GET', `/regions/${target.sparse}`, 'Range: bytes=0-0\r\nWant-Repr-Digest: sha-256=1\r\n');
    while (!signal.aborted) {
      const socket = connect({ port: target.port, host: '127.0.0.1' });
      socket.on('error', () => {}).resume();
      socket.write(text);
      await pause(500, signal);
      socket.destroy();
    }
  },
  async 'bodies that do not come'(target, signal) {
    const fields = 'Content-Type: application/json\r\nContent-Length: 1000\r\n';
    await times(10, () => sendUnread(target, signal, `${request('POST', '/leases', fields)}{`));
  },
};
