/** Where the service listens: at an address, or at a unix socket. @module */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { ServeOptions } from './flags.ts';

const scheme = 'unix:';

/** The path of the unix socket that a host names, as in `unix:/run/pagerelay.sock`; undefined for an address. */
export function socketPathOf(host: string): string | undefined {
  return host.startsWith(scheme) ? host.slice(scheme.length) : undefined;
}

/**
 * Listens. It replaces the file of a unix socket that nobody listens on; its own goes when the server is closed.
 *
 * @throws Error when the address can't be had, or the path is something else
 */
export async function listen(app: FastifyInstance, { host, port, socketMode }: ListenOptions): Promise<void> {
  const path = socketPathOf(host);
  if (path === undefined) {
    await app.listen({ host, port });
    return;
  }
  await removeStale(path);
  await app.listen({ path });
  if (socketMode !== undefined) chmodSync(path, socketMode);
}

type ListenOptions = Pick<ServeOptions, 'host' | 'port' | 'socketMode'>;

/** How a client finds a server that listens: what curl needs before the URL, and what its URLs begin with. */
export function wayTo(app: FastifyInstance): {
  readonly where: string;
  readonly curl: string;
  readonly origin: string;
} {
  const address = app.server.address() as AddressInfo | string;
  if (typeof address === 'string') {
    return { where: `${scheme}${address}`, curl: `curl --unix-socket ${address}`, origin: 'http://localhost' };
  }
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  const origin = `http://${host}:${address.port}`;
  return { where: origin, curl: 'curl', origin };
}

async function removeStale(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (!there) return;
  if (!there.isSocket()) throw new Error(`${scheme}${path}: there is a file that is no socket`);
  if (await isListenedTo(path)) throw new Error(`${scheme}${path}: another process listens there`);
  // Another service may have begun to listen there meanwhile.
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === there.ino) unlinkSync(path);
}

// Only a socket that nobody listens on refuses. It is left as it is where that can't be seen, and listening fails.
function isListenedTo(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
