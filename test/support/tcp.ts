/** What this kernel says about a connection of our own (proc_net_tcp(5)). @module */
import { readFileSync } from 'node:fs';

type Queues = { readonly unacknowledged: number; readonly unread: number };

/** The queues of the socket that has these ports, seen from its side; undefined when there is none. */
export function queuesOf(localPort: number, remotePort: number): Queues | undefined {
  const port = (number: number) => number.toString(16).toUpperCase().padStart(4, '0');
  // Not line by line: on a busy machine there are thousands of them.
  const socket = new RegExp(`:${port(localPort)} \\w+:${port(remotePort)} \\w+ (\\w+):(\\w+)`);
  const found = socket.exec(readFileSync('/proc/self/net/tcp', 'latin1'));
  const queue = (at: number) => Number.parseInt(found?.[at] ?? '', 16);
  return found ? { unacknowledged: queue(1), unread: queue(2) } : undefined;
}
