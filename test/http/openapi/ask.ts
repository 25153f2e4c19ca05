/** One request of any kind. @module */
import { request } from 'node:http';

/** What came back; field names in lower case. */
export type Answered = {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Buffer;
};

/** What is asked. */
export type Asked = {
  readonly method?: string;
  readonly path: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
};

/** Asks on a connection of its own. Of a body without an end, so many bytes are taken as are there first. */
export function ask(port: number, { method = 'GET', path, fields = {}, body }: Asked): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, host: '127.0.0.1', method, path, headers: fields, agent: false });
    asking.on('error', reject);
    asking.on('response', (response) => {
      const chunks: Buffer[] = [];
      const end = () => {
        const named = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        resolve({ status: response.statusCode ?? 0, fields: Object.fromEntries(named), body: Buffer.concat(chunks) });
        asking.destroy();
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (response.headers['content-type'] === 'text/event-stream') end();
      });
      response.on('end', end);
      response.on('error', reject);
    });
    asking.end(body);
  });
}
