/** A reader that costs little: one connection, and one buffer that everything is read into. @module */
import { connect, type Socket } from 'node:net';

/** What to ask for: a request is sent when the answer before it is all there. */
export type Reading = {
  readonly port: number;
  readonly request: string;
  /** Bytes behind the head of each answer. */
  readonly body: number;
  /** Answers, unless so many seconds have passed; at least one. */
  readonly most: number;
  readonly seconds: number;
};

/** What was read: bytes of bodies. */
export type WasRead = { readonly bytes: number; readonly seconds: number };

const patience = 10_000; // ms without a byte
const bufferBytes = 1 << 20;
const endOfHead = '\r\n\r\n';

/** @throws Error when an answer is not 206, or ends early, or nothing comes for seconds */
export function readAnswers(reading: Reading): Promise<WasRead> {
  return new Promise((resolve, reject) => new Reader(reading, resolve, reject));
}

class Reader {
  readonly #reading: Reading;
  readonly #resolve: (read: WasRead) => void;
  readonly #socket: Socket;
  readonly #began = performance.now();
  #answers = 0;
  #head = '';
  /** Bytes of this answer's body that are to come. */
  #left = 0;

  constructor(reading: Reading, resolve: (read: WasRead) => void, reject: (error: Error) => void) {
    this.#reading = reading;
    this.#resolve = resolve;
    const onread = {
      buffer: Buffer.allocUnsafe(bufferBytes),
      callback: (length: number, buffer: Uint8Array) => this.#take(Buffer.from(buffer.buffer, 0, length)),
    };
    this.#socket = connect({ host: '127.0.0.1', port: reading.port, noDelay: true, onread });
    this.#socket.setTimeout(patience, () => this.#socket.destroy(new Error('nothing came')));
    this.#socket.on('error', (cause) => reject(new Error(`the reader failed: ${cause.message}`, { cause })));
    this.#socket.on('close', () => reject(new Error('the reader failed: an answer ended early')));
    this.#socket.write(reading.request);
  }

  #take(bytes: Buffer): boolean {
    const inBody = this.#left > 0 ? bytes.length : this.#takeHead(bytes);
    this.#left -= inBody;
    if (this.#left === 0 && this.#head === '') this.#next();
    return true;
  }

  /** Gives how many bytes of the body have come with the end of the head. */
  #takeHead(bytes: Buffer): number {
    this.#head += bytes.toString('latin1');
    const end = this.#head.indexOf(endOfHead);
    if (end < 0) return 0;
    if (!this.#head.startsWith('HTTP/1.1 206 ')) {
      const [status = ''] = this.#head.split('\r\n', 1);
      this.#socket.destroy(new Error(`the service answered ${status}`));
    }
    const inBody = this.#head.length - end - endOfHead.length;
    this.#head = '';
    this.#left = this.#reading.body;
    return inBody;
  }

  #next(): void {
    const { request, body, most, seconds } = this.#reading;
    const passed = (performance.now() - this.#began) / 1000;
    this.#answers++;
    if (this.#answers < most && passed < seconds) {
      this.#socket.write(request);
      return;
    }
    this.#resolve({ bytes: this.#answers * body, seconds: passed });
    this.#socket.destroy();
  }
}
