/** An HTTP client over a bare socket, which reads only what it is asked to. @module */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Scope } from './scope.ts';

/** A status line and its fields, names in lower case. */
export type Head = { readonly status: number; readonly version: string; readonly fields: ReadonlyMap<string, string> };

/** A whole response. */
export type RawResponse = Head & { readonly body: Buffer };

/** What came until the connection ended, and how it ended. */
export type Rest = { readonly bytes: number; readonly sha256: string; readonly error: string | undefined };

/** The connection ended before what was asked for had come. */
export class EndedEarly extends Error {
  override readonly name = 'EndedEarly';
  readonly got: number;

  constructor(got: number, cause: unknown) {
    super(`the connection ended after ${got} bytes`, { cause });
    this.got = got;
  }
}

/** One connection. Nothing is read before something is asked for, so that the kernel's queues can fill. */
export class RawClient {
  readonly socket: Socket;
  #waiting: Buffer[] = [];
  #buffered = 0;
  #ended = false;
  #error: NodeJS.ErrnoException | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.pause();
    socket.on('data', (chunk: Buffer) => {
      this.#waiting.push(chunk);
      this.#buffered += chunk.length;
      socket.pause();
      this.#wake?.();
    });
    // A listener for data makes a socket flow.
    socket.pause();
    socket.on('end', () => this.#finish(undefined));
    socket.on('error', (error) => this.#finish(error));
    socket.on('close', () => this.#finish(undefined));
  }

  /**
   * @param where a port, or the path of a unix socket
   * @param localAddress the client's own; by default the kernel chooses
   */
  static async connect(
    scope: Scope,
    where: number | string,
    host = '127.0.0.1',
    localAddress?: string,
  ): Promise<RawClient> {
    const from = localAddress === undefined ? {} : { localAddress };
    const to = typeof where === 'string' ? { path: where } : { host, port: where, ...from };
    const client = new RawClient(connect({ ...to, allowHalfOpen: true }));
    scope.after(() => client.socket.destroy());
    await once(client.socket, 'connect');
    return client;
  }

  get localPort(): number {
    return this.socket.localPort ?? 0;
  }

  /** Whether the peer has ended or broken off the connection, as far as has been read. */
  get ended(): boolean {
    return this.#ended;
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Asks for a range of a region; `range` as in the field, without `bytes=`. */
  get(path: string, range?: string, fields = ''): void {
    const rangeField = range === undefined ? '' : `Range: bytes=${range}\r\n`;
    this.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${rangeField}${fields}\r\n`);
  }

  /** Sends a FIN; reading goes on. */
  end(): void {
    this.socket.end();
  }

  /** Closes at once by a reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Exactly so many bytes. @throws EndedEarly */
  async take(count: number): Promise<Buffer> {
    while (this.#buffered < count) if (!(await this.#more())) throw new EndedEarly(this.#buffered, this.#error);
    const all = this.#all();
    this.#keep(all.subarray(count));
    return all.subarray(0, count);
  }

  /** The next head, without its end. @throws EndedEarly */
  async head(): Promise<Head> {
    for (;;) {
      const all = this.#all();
      const end = all.indexOf('\r\n\r\n');
      this.#keep(end < 0 ? all : all.subarray(end + 4));
      if (end >= 0) return parseHead(all.subarray(0, end).toString('latin1'));
      if (!(await this.#more())) throw new EndedEarly(this.#buffered, this.#error);
    }
  }

  /** The next whole response. */
  async response(method = 'GET'): Promise<RawResponse> {
    const head = await this.head();
    const length = method === 'HEAD' || head.status === 304 ? 0 : Number(head.fields.get('content-length') ?? 0);
    return { ...head, body: await this.take(length) };
  }

  /** The hash of the next `count` bytes, which are not kept. @throws EndedEarly */
  async hash(count: number): Promise<string> {
    const hash = createHash('sha256');
    for (let left = count; left > 0; ) {
      const bytes = await this.take(Math.min(left, Math.max(this.#buffered, 1)));
      hash.update(bytes);
      left -= bytes.length;
    }
    return hash.digest('hex');
  }

  /** Reads until the connection ends one way or the other. */
  async rest(): Promise<Rest> {
    const hash = createHash('sha256');
    let bytes = 0;
    do {
      for (const chunk of this.#waiting) hash.update(chunk);
      bytes += this.#buffered;
      this.#keep(Buffer.alloc(0));
    } while (await this.#more());
    return { bytes, sha256: hash.digest('hex'), error: this.#error?.code };
  }

  /** What has come and was not taken, which is copied where it came in pieces alone. */
  #all(): Buffer {
    const [first] = this.#waiting;
    return this.#waiting.length === 1 && first ? first : Buffer.concat(this.#waiting);
  }

  #keep(rest: Buffer): void {
    this.#waiting = rest.length > 0 ? [rest] : [];
    this.#buffered = rest.length;
  }

  async #more(): Promise<boolean> {
    const before = this.#buffered;
    while (this.#buffered === before && !this.#ended) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.socket.resume();
      await woken;
    }
    return this.#buffered > before;
  }

  #finish(error: NodeJS.ErrnoException | undefined): void {
    this.#error ??= error;
    this.#ended = true;
    this.#wake?.();
  }
}

function parseHead(text: string): Head {
  const [line = '', ...lines] = text.split('\r\n');
  const [, version = '', status = ''] = /^HTTP\/(\S+) (\d{3})/.exec(line) ?? [];
  if (version === '') throw new Error(`no status line: ${JSON.stringify(text.slice(0, 200))}`);
  const fields = lines.map((field) => {
    const colon = field.indexOf(':');
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const;
  });
  return { status: Number(status), version, fields: new Map(fields) };
}
