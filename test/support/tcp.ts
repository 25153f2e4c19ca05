/** What this kernel says about a connection of our own (proc_net_tcp(5)). @module */
import { readFileSync } from 'node:fs';

type Queues = { readonly unacknowledged: number; readonly unread: number };

/** The queues of the socket that has these ports, seen from its side; undefined when there is none. */
export function queuesOf(localPort: number, remotePort: number): Queues | undefined {
  const port = (text: string | undefined) => Number.parseInt(text?.split(':')[1] ?? '', 16);
  for (const line of readFileSync('/proc/self/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local, remote, , queues = ''] = line.trim().split(/\s+/);
    if (port(local) !== localPort || port(remote) !== remotePort) continue;
    const [sending = '', receiving = ''] = queues.split(':');
    return { unacknowledged: Number.parseInt(sending, 16), unread: Number.parseInt(receiving, 16) };
  }
  return undefined;
}
