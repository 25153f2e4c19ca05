/**
 * What a connection has received, to the byte. A lane may only ever answer what is a request for certain, and neither
 * `rawHeaders` nor counts tell: white space that parsing loses can hide the start of another request. So every byte is
 * watched, from the connection's start on.
 *
 * @module
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/** Node's own limit for the head of a request, bytes. */
const longestHead = 16 * 1024;

// RFC 9112 2.1, the strict reading: no bare CR or LF, no folded line, nothing before the request line.
const wholeHead = /^[A-Z]+ [\x21-\x7e]+ HTTP\/1\.1\r\n(?:[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n$/;
// What follows the head of these is more than another head.
const framing = /\r\n(?:content-length|transfer-encoding|expect|upgrade):/i;
const endOfHead = '\r\n\r\n';

/** The heads of requests that are answered: a connection keeps none of them, it would keep the request with it. */
const heads = new WeakMap<IncomingMessage, { readonly head: string; readonly place: number }>();

/** What one connection has received since the last request began. */
class Received {
  #bytes = '';
  #lost = false;
  #requests = 0;

  add(chunk: Buffer): void {
    if (this.#lost) return;
    this.#bytes += chunk.toString('latin1');
    // A body, or many requests at once: of a connection that has lost the boundary nothing is known any more.
    if (this.#bytes.length > 4 * longestHead) this.#lose();
  }

  begin(request: IncomingMessage): void {
    if (this.#lost) return;
    const end = this.#bytes.indexOf(endOfHead) + endOfHead.length;
    const head = this.#bytes.slice(0, end);
    if (head.length > longestHead || !wholeHead.test(head) || framing.test(head)) {
      this.#lose();
      return;
    }
    this.#bytes = this.#bytes.slice(end);
    this.#requests++;
    heads.set(request, { head, place: this.#requests });
  }

  headOf(request: IncomingMessage): string | undefined {
    const known = this.#lost || this.#bytes !== '' ? undefined : heads.get(request);
    return known?.place === this.#requests ? known.head : undefined;
  }

  #lose(): void {
    this.#lost = true;
    this.#bytes = '';
  }
}

const servers = new WeakSet<Server>();
const connections = new WeakMap<object, Received>();

function watch(this: Socket, chunk: Buffer): void {
  connections.get(this)?.add(chunk);
}

/**
 * Watches every connection of a server, once, however often it is asked to. Node then parses in JavaScript, not beside
 * it: some µs a request.
 *
 * @param server one that speaks HTTP/1 over plain TCP
 */
export function watchHeads(server: Server): void {
  if (servers.has(server)) return; // Bytes that are counted twice would be other requests.
  servers.add(server);
  server.on('connection', (socket: Socket) => {
    connections.set(socket, new Received());
    // Before Node's own listener, which handles requests while it parses.
    socket.prependListener('data', watch);
  });
  server.prependListener('request', (request: IncomingMessage) => connections.get(request.socket)?.begin(request));
}

/**
 * The head of a request, as it was received, when it is the last that the connection has received, every byte of the
 * connection before it was a request without a body too, and no byte came after it.
 */
export function exactHead(request: IncomingMessage): string | undefined {
  return connections.get(request.socket)?.headOf(request);
}
