/**
 * Whether this release of Node still has what this folder relies on and Node does not document (internals.ts). Nothing is
 * listened on, and nobody connected to: requests come from a stream in memory.
 *
 * @module
 */
import type { Server } from 'node:http';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { FastifyBaseLogger } from 'fastify';
import {
  canFinalize,
  countsConnections,
  handleOf,
  isKnownHandle,
  isKnownListener,
  markAnswering,
  responseDue,
  takeHead,
} from './internals.ts';
import { answerOneByOne } from './pipeline.ts';

const http = process.getBuiltinModule('node:http');

const request = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
const ignore = () => {};

/** A connection to a server, in memory: it receives what is pushed, and keeps what is written. */
class Connected extends Duplex {
  written = '';

  constructor(server: Server) {
    super();
    server.emit('connection', this);
  }

  /** As Node's HTTP server sees it. */
  get socket(): Socket {
    return this as object as Socket;
  }

  receive(bytes: Buffer): void {
    this.emit('data', bytes);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }
}

/**
 * Whether `answerOneByOne` holds a second request back while the first is answered. It finds Node's listeners by their
 * names; under other names it finds none, and Node handles all requests of a connection at once.
 *
 * @param server for tests: one of another kind
 */
export function canAnswerOneByOne(server: Server = http.createServer()): boolean {
  let handled = 0;
  server.on('request', () => {
    handled++;
  });
  answerOneByOne(server, ignore, ignore);
  const connection = new Connected(server);
  connection.receive(Buffer.concat([request, request]));
  connection.destroy();
  return handled === 1;
}

/**
 * Whether the head of a response can be taken from Node, which then writes its body alone.
 *
 * @param server for tests: one of another kind
 */
export function canTakeHeads(server: Server = http.createServer()): boolean {
  const connection = new Connected(server);
  let head = '';
  server.on('request', (_, response) => {
    response.writeHead(200, { 'content-length': 1 });
    if (responseDue(connection.socket) === response) head = takeHead(response, 1024) ?? '';
    response.end('x');
  });
  connection.receive(request);
  connection.destroy();
  return head.startsWith('HTTP/1.1 200 OK\r\n') && connection.written === 'x';
}

/**
 * Whether Node's HTTP server leaves a connection open that a lane answers on, when it closes those that are idle.
 *
 * @param server for tests: one of another kind
 */
export function canMarkAnswering(server: Server = http.createServer()): boolean {
  server.emit('listening'); // It begins to know which connections are idle.
  const connection = new Connected(server);
  connection.receive(request); // Until one has come it is not idle. It is left unanswered.
  const closesIdle = (isAnswering: boolean) => {
    markAnswering(connection.socket, isAnswering);
    server.closeIdleConnections();
    return connection.destroyed;
  };
  const [whileAnswering, after] = [closesIdle(true), closesIdle(false)];
  connection.destroy();
  server.close();
  return !whileAnswering && after;
}

// That of a socket which is about to connect, and never does.
function tcpHandle(): object | null | undefined {
  const socket = new Socket().on('error', ignore);
  socket.connect({ host: '127.0.0.1', port: 9 });
  const handle = handleOf(socket);
  socket.destroy();
  return handle;
}

function once(test: () => boolean): () => boolean {
  let result: boolean | undefined;
  return () => {
    result ??= test();
    return result;
  };
}

/** Whether held bytes can go out on Node's sockets, behind Node's back. */
export const canSendNatively = once(() => isKnownHandle(tcpHandle()) && canFinalize() && canTakeHeads());

/** Whether lanes can accept connections in the place of a server, and answer on them. */
export const canAcceptInLanes = once(
  () =>
    canSendNatively() && isKnownListener(tcpHandle()) && countsConnections(http.createServer()) && canMarkAnswering(),
);

const tested = 'run it with a release that it is tested on';

const features = {
  pipelining: {
    works: () => canAnswerOneByOne(),
    without:
      'requests of a connection are not held back in this release of Node: a client that pipelines them and reads no ' +
      `answer takes memory without a bound; ${tested}`,
  },
  sending: {
    works: canSendNatively,
    without: `the sockets of this release of Node are not as they are known: every byte is copied; ${tested}`,
  },
  accepting: {
    works: canAcceptInLanes,
    without: `the servers of this release of Node are not as they are known: lanes accept no connections; ${tested}`,
  },
};

/** Logs what is missing, and what becomes of that. */
export function reportMissing(log: FastifyBaseLogger, wanted: readonly (keyof typeof features)[]): void {
  for (const feature of wanted) {
    const { works, without } = features[feature];
    if (!works()) log.error({ node: process.version, feature }, without);
  }
}
