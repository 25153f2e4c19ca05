/**
 * A reader that waits: `slow-client.ts HOST PORT PATH RANGE` asks at once, and reads when a line comes on its standard
 * input. Prints `asked`, and at the end the status and SHA-256 of what it got.
 *
 * @module
 */
import { once } from 'node:events';
import { RawClient } from './raw.ts';

const [host = '', port = '', path = '', range = ''] = process.argv.slice(2);
const client = await RawClient.connect({ after() {} }, Number(port), host);
client.get(path, range);
console.log('asked');
await once(process.stdin, 'data');
const { status, fields } = await client.head();
console.log(`got ${status} ${await client.hash(Number(fields.get('content-length')))}`);
client.destroy();
process.stdin.destroy();
