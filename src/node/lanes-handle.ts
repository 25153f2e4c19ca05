/** What a server listens by whose connections lanes accept. @module */
import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs';
import type { NativeRelay } from '../relay/native-relay.ts';
import type { ListeningHandle } from './internals.ts';
import type { Listener } from './listeners.ts';
import { removeSocket } from './unix-path.ts';

const longest = 2 ** 31 - 1; // of a timer, milliseconds

/**
 * In place of the handle that a server listens by: so that it can be closed, and asked for its address, as ever. Node's
 * cluster module does the same in its workers.
 */
export class LanesHandle implements ListeningHandle {
  readonly #relay: NativeRelay;
  readonly #listener: number;
  readonly #path: string | undefined;
  /** Of the socket's file. */
  readonly #inode: number | undefined;
  #isLeft = false;
  // A listening handle keeps its process alive.
  readonly #alive = setInterval(() => {}, longest);
  /** As of Node's handles, one of a unix socket has none: the server knows the path. */
  readonly getsockname: ((into: object) => number) | undefined;

  constructor(relay: NativeRelay, listener: number, { server, path }: Listener) {
    this.#relay = relay;
    this.#listener = listener;
    this.#path = path;
    if (path !== undefined) this.#inode = statSync(path, { throwIfNoEntry: false })?.ino;
    const address = server.address();
    if (typeof address === 'string') return;
    this.getsockname = (into) => {
      Object.assign(into, address);
      return 0;
    };
  }

  /** By what it listens. */
  get fd(): number {
    return this.#relay.listenerDescriptor(this.#listener) ?? -1;
  }

  /** Accepts no more; another process does, from the same socket. */
  leave(): void {
    this.#isLeft = true;
    this.#relay.closeListener(this.#listener);
  }

  close(callback?: () => void): void {
    clearInterval(this.#alive);
    if (!this.#isLeft) this.#relay.closeListener(this.#listener);
    if (this.#path !== undefined && !this.#isLeft) removeSocket(this.#path, this.#inode);
    if (callback) setImmediate(callback);
  }

  ref(): void {
    this.#alive.ref();
  }

  unref(): void {
    this.#alive.unref();
  }

  hasRef(): boolean {
    return this.#alive.hasRef();
  }
}

/**
 * Closes a handle, for the relay has a descriptor of its own. libuv removes the file of a unix socket that it closes: it
 * shall not find it.
 */
export function closeHandle(handle: ListeningHandle, path: string | undefined): void {
  if (path === undefined) {
    handle.close();
    return;
  }
  const aside = `${path}.${process.pid}`;
  renameSync(path, aside);
  try {
    handle.close();
    linkSync(aside, path); // Unlike renameSync it takes no place that another service has taken meanwhile.
  } finally {
    unlinkSync(aside);
  }
}
