/**
 * Readers that behave: `readers.ts ORIGIN NAME SIZE CONNECTIONS RATE`. Each connection asks for ranges of 4 KiB, RATE
 * times a second in all, with a field of its own per request. Prints a line a second: JSON with the latencies in
 * milliseconds, counted from when a request was due, and how many failed. Ends with its standard input.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'undici';

const [origin = '', name = '', size = '0', connections = '4', rate = '200'] = process.argv.slice(2);
const length = 4096;
const interval = (1000 * Number(connections)) / Number(rate);
const second: { latencies: number[]; failed: number } = { latencies: [], failed: 0 };
let ended = false;

process.stdin.resume().once('end', () => {
  ended = true;
});
const telling = setInterval(() => {
  console.log(JSON.stringify(second));
  Object.assign(second, { latencies: [], failed: 0 });
}, 1000);
await Promise.all(Array.from({ length: Number(connections) }, (_, at) => read(at)));
clearInterval(telling);

async function read(which: number): Promise<void> {
  const client = new Client(origin);
  let due = performance.now() + (which * interval) / Number(connections);
  for (let turn = 0; !ended; turn++, due += interval) {
    await delay(Math.max(0, due - performance.now()));
    const first = Math.floor(Math.random() * (Number(size) - length));
    const headers = { range: `bytes=${first}-${first + length - 1}`, 'x-request-id': `${which}-${turn}` };
    try {
      const { statusCode, body } = await client.request({ method: 'GET', path: `/regions/${name}`, headers });
      const bytes = (await body.arrayBuffer()).byteLength;
      if (statusCode !== 206 || bytes !== length) second.failed++;
      second.latencies.push(performance.now() - due);
    } catch {
      second.failed++;
    }
  }
  await client.close();
}
