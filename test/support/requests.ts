/** Requests that change regions, over a bare socket. @module */
import type { RawClient, RawResponse } from './raw.ts';

/** A request with its fields, and a body if it has one. */
export type Change = {
  readonly method: string;
  readonly path: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
};

/** Asks, and does not read. Host is where the connection goes, which a writable service looks at. */
export function ask(client: RawClient, { method, path, fields = {}, body }: Change): void {
  const all = { host: `127.0.0.1:${client.socket.remotePort ?? 80}`, ...fields };
  const framing = body === undefined ? {} : { 'content-length': String(body.length) };
  const lines = Object.entries({ ...all, ...framing }).map(([name, value]) => `${name}: ${value}`);
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  client.socket.write(body === undefined ? head : Buffer.concat([head, body]));
}

/** Asks, and reads the response. */
export function change(client: RawClient, request: Change): Promise<RawResponse> {
  ask(client, request);
  return client.response();
}

/** Asks for a range of a region; `range` as in the field, without `bytes=`. */
export function askForRange(client: RawClient, path: string, range: string): void {
  ask(client, { method: 'GET', path, fields: { range: `bytes=${range}` } });
}

/** An overwriting request for the bytes from `first` on. @param waitSeconds how long it may wait for the pages */
export function overwriting(path: string, first: number, body: Uint8Array, waitSeconds: number): Change {
  const range = `bytes ${first}-${first + body.length - 1}/*`;
  return { method: 'PUT', path, fields: { 'content-range': range, prefer: `wait=${waitSeconds}` }, body };
}

/** The `code` of a problem document. */
export function codeOf({ body }: Pick<RawResponse, 'body'>): string {
  return (JSON.parse(body.toString('utf8')) as { code: string }).code;
}
