/**
 * Connections that go to another process, which has taken the place of this one, between two of their requests; or with
 * one that was not answered here.
 *
 * @module
 */
import type { IncomingMessage, Server } from 'node:http';
import { isIP, Socket } from 'node:net';
import { arrivedBy } from '../http/guard/arrived-by.ts';
import type { NativeRelay } from '../relay/native-relay.ts';
import type { Taken } from '../relay/shim.ts';
import { Connection } from './connection.ts';
import { handleOf, isAnswering } from './internals.ts';
import { keyOf, type Listener } from './listeners.ts';
import { pipelineOf } from './pipeline.ts';
import { holdBack } from './reading.ts';

/**
 * Sends a connection, by its handle, to the other process: by which listener it came (`keyOf` its place, and behind a proxy
 * its client's address and port, behind a NUL each), and what was read
 * of it and not answered.
 */
export type SendConnection = (handle: object, by: string, unanswered: Buffer) => Promise<void>;

const servers = new WeakMap<Server, PassingOn>();

/** How the connections of a server are passed on, once they are. */
export function passingOnOf(server: Server | undefined): PassingOn | undefined {
  return server && servers.get(server);
}

/** Passes on the connections of one server. */
export class PassingOn {
  readonly #relay: NativeRelay | undefined;
  readonly #send: SendConnection;
  readonly #passed = new WeakSet<Socket>();
  /** How many are on their way. */
  underway = 0;

  /** From now on connections that lanes hand over are passed on, too. */
  constructor(server: Server, relay: NativeRelay | undefined, send: SendConnection) {
    this.#relay = relay;
    this.#send = send;
    servers.set(server, this);
  }

  /** One that Node has, or has had for a request. @param unanswered what was read of it; what is known to come behind is added */
  async pass(socket: Socket, unanswered: Buffer = Buffer.alloc(0)): Promise<void> {
    const handle = handleOf(socket);
    if (socket.destroyed || !handle || this.#passed.has(socket)) return;
    this.#passed.add(socket);
    holdBack(socket, 'passed on');
    const rest = pipelineOf(socket)?.takeRest() ?? Buffer.alloc(0);
    const connection = this.#relay && Connection.of(this.#relay, socket);
    this.underway++;
    await connection?.untilDone();
    this.underway--;
    if (socket.destroyed) return;
    if (connection) connection.isPassedOn = true;
    const by = arrivedBy(socket) as Listener | undefined;
    const told = tellOf(by, socket.remoteAddress, socket.remotePort);
    await this.#sendAndClose(socket, handle, told, Buffer.concat([unanswered, rest]));
  }

  /** One that a lane hands over, and Node does not know yet. */
  async passNewcomer(
    id: number,
    { fd, address, port }: Taken,
    by: Listener | undefined,
    unanswered: Buffer,
  ): Promise<void> {
    const socket = new Socket({ fd, allowHalfOpen: true, readable: false, writable: true });
    socket.once('close', () => this.#relay?.leaveConnection(id));
    await this.#untilDone(id);
    const handle = handleOf(socket);
    if (handle) await this.#sendAndClose(socket, handle, tellOf(by, address, port), unanswered);
    else socket.destroy();
  }

  // As of `Connection`, of which this one has none.
  async #untilDone(id: number): Promise<void> {
    const relay = this.#relay;
    if (!relay || relay.mayFinish(id)) return;
    this.underway++;
    await new Promise<void>((resolve) =>
      relay.listen(id, { drained: resolve, stalled: () => relay.breakOff(id), returned: () => {} }),
    );
    this.underway--;
  }

  // The kernel has the descriptor in its message when this resolves.
  async #sendAndClose(socket: Socket, handle: object, by: string, unanswered: Buffer): Promise<void> {
    this.underway++;
    try {
      await this.#send(handle, by, unanswered);
    } catch {
      // The other process has gone: nobody is there to answer.
    } finally {
      this.underway--;
      socket.destroy();
    }
  }
}

// The header of the PROXY protocol was read here: so the other process is told of the client that it has named.
function tellOf(by: Listener | undefined, address = '', port = 0): string {
  if (!by) return '';
  return by.at.takesProxy && isIP(address) > 0 ? `${keyOf(by.at)}\0${address}\0${port}` : keyOf(by.at);
}

/** Whether nothing of a connection is under way in Node. */
export function isIdle(socket: Socket): boolean {
  return !socket.destroyed && !isAnswering(socket) && socket.writableLength === 0 && socket.readableLength === 0;
}

/** The head of a request as it was sent, without a body. */
export function headOf({ method, httpVersion, rawHeaders }: IncomingMessage, target: string): Buffer {
  const lines = [`${method} ${target} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
