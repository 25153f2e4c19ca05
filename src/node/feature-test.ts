/** Whether this release of Node still has what this folder relies on and Node does not document. @module */
import { createServer, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import { answerOneByOne } from './pipeline.ts';

const request = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');

/**
 * Whether `answerOneByOne` holds a second request back while the first is answered. It finds Node's listeners by their
 * names; under other names it finds none, and Node handles all requests of a connection at once. Nothing is listened on:
 * the requests come from a stream in memory.
 *
 * @param server for tests: one of another kind
 */
export function canAnswerOneByOne(server: Server = createServer()): boolean {
  let handled = 0;
  server.on('request', () => {
    handled++;
  });
  const ignore = () => {};
  answerOneByOne(server, ignore, ignore);
  const connection = new Duplex({ read: ignore, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', connection);
  connection.emit('data', Buffer.concat([request, request]));
  connection.destroy();
  return handled === 1;
}
