import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { descriptorOf } from '../../src/node/internals.ts';
import type { Scope } from './scope.ts';

/** Both ends of a TCP connection over loopback, and the descriptor of the accepted one. */
export type SocketPair = { readonly client: Socket; readonly accepted: Socket; readonly fd: number };

/** Connects; both ends are destroyed when the test ends. */
export async function makeSocketPair(scope: Scope): Promise<SocketPair> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.pause();
  const [accepted] = (await once(server, 'connection')) as [Socket];
  for (const socket of [client, accepted]) {
    socket.on('error', () => {});
    scope.after(() => socket.destroy());
  }
  server.close();
  return { client, accepted, fd: descriptorOf(accepted) ?? -1 };
}
