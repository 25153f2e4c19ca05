/**
 * `many-clients.ts PORT PATH FILE COUNT`: opens so many connections, has all of them ask for a range of its own, and
 * reads when all have asked. Prints `connected`; goes on at a line on its standard input; prints `right N` when N
 * answers held the bytes of FILE, keeps the connections, and closes them at the next line.
 *
 * @module
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { RawClient } from './raw.ts';

const [port = '', path = '', file = '', count = ''] = process.argv.slice(2);
const content = readFileSync(file);
const atOnce = 200;

const firstOf = (at: number) => (at * 7919) % (content.length - 50_000);
const lengthOf = (at: number) => 1 + ((at * 104_729) % 40_000);

async function connectAll(): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < Number(count)) {
    const some = Math.min(atOnce, Number(count) - clients.length);
    const connecting = Array.from({ length: some }, () => RawClient.connect({ after() {} }, Number(port)));
    clients.push(...(await Promise.all(connecting)));
  }
  return clients;
}

async function isRight(client: RawClient, at: number): Promise<boolean> {
  const { status, body } = await client.response();
  return status === 206 && body.equals(content.subarray(firstOf(at), firstOf(at) + lengthOf(at)));
}

const clients = await connectAll();
console.log('connected');
await once(process.stdin, 'data');
for (const [at, client] of clients.entries()) client.get(path, `${firstOf(at)}-${firstOf(at) + lengthOf(at) - 1}`);
const verdicts = await Promise.all(clients.map(isRight));
console.log(`right ${verdicts.filter(Boolean).length}`);
await once(process.stdin, 'data');
for (const client of clients) client.destroy();
process.stdin.destroy();
