/**
 * A client of scrape-cost.ts: `scrape-load.ts ORIGIN SECONDS`, with the names of regions on its standard input. Reads
 * 4 KiB at a time on 8 connections that think for 5 ms, and prints its latencies in milliseconds as JSON.
 *
 * @module
 */
import { Agent, get } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

const [origin = '', seconds = '1'] = process.argv.slice(2);
const names = (await json(process.stdin)) as string[];
const agent = new Agent({ keepAlive: true, maxSockets: 8 });
const until = performance.now() + Number(seconds) * 1000;
const latencies: number[] = [];

await Promise.all(Array.from({ length: 8 }, client));
agent.destroy();
latencies.sort((one, other) => one - other);
const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
console.log(JSON.stringify({ requests: latencies.length, p50: at(0.5), p99: at(0.99) }));

async function client(_: unknown, first: number): Promise<void> {
  for (let turn = first; performance.now() < until; turn += 8) {
    const began = performance.now();
    await read(`${origin}/regions/${names[turn % names.length]}`);
    latencies.push(performance.now() - began);
    await delay(5);
  }
}

function read(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers: { range: 'bytes=0-4095' } }, (response) => {
      response.resume().once('end', resolve);
    });
    request.once('error', reject);
  });
}
