/**
 * `bad-server.ts FAULT FILE BYTES`: a small service with pagerelay's addresses and metrics that does one thing wrong, or
 * with `nothing` none, in bodies of so many bytes: neither a warm-up's nor the checker's. Prints where it listens.
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const [fault = 'nothing', path = '', bytes = ''] = process.argv.slice(2);
const wrongBytes = Number(bytes);
const region = readFileSync(path);
const million = 1_000_003;

const answers = new Map<string, number>();
const counted = { bytes: 0, whole: 0, holds: 0 };
let sent = 0;
let served = 0;
let leaked = 0;
let open = 0;

function count(method: string, status: number): void {
  const key = `${method} ${status}`;
  answers.set(key, (answers.get(key) ?? 0) + 1);
}

/** One byte in a million is another one. */
function flipped(body: Buffer): Buffer {
  const next = million - (sent % million);
  if (next > body.length) return body;
  const copy = Buffer.from(body);
  copy.writeUInt8(copy.readUInt8(next - 1) ^ 1, next - 1);
  return copy;
}

function note(bytes: number, isWrong: boolean): void {
  counted.whole++;
  counted.holds++;
  counted.bytes += bytes;
  if (fault === 'miscounts' && isWrong && served % 100 === 0) counted.bytes += 1;
  if (fault === 'leaks' && served === 50) leaked = 1;
}

function sendRange(response: ServerResponse, range: string): void {
  const [, first = '', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
  const body = region.subarray(Number(first), Number(last) + 1);
  const isWrong = body.length === wrongBytes;
  if (isWrong) served++;
  if (fault === 'dies' && served === 60) process.exit(7);
  const fields = { 'content-length': body.length, 'content-range': `bytes ${first}-${last}/${region.length}` };
  response.writeHead(206, fields);
  if (fault === 'truncates' && isWrong && served % 40 === 0) {
    response.write(body.subarray(0, -1), () => response.destroy());
    return;
  }
  open++;
  response.end(fault === 'flips' && isWrong ? flipped(body) : body, () => {
    open--;
    note(body.length, isWrong);
    count('GET', 206);
  });
  if (isWrong) sent += body.length;
}

function metrics(): string {
  const requests = [...answers].map(([key, value]) => {
    const [method, status] = key.split(' ');
    return `pagerelay_http_requests_total{method="${method}",status="${status}"} ${value}`;
  });
  return [
    ...['# TYPE pagerelay_http_requests_total counter', ...requests],
    ...['# TYPE pagerelay_sent_bytes_total counter', `pagerelay_sent_bytes_total{engine="stream"} ${counted.bytes}`],
    '# TYPE pagerelay_transmissions_total counter',
    `pagerelay_transmissions_total{engine="stream",outcome="complete"} ${counted.whole}`,
    ...['# TYPE pagerelay_references gauge', `pagerelay_references ${open + leaked}`],
    ...['# TYPE pagerelay_held_bytes gauge', `pagerelay_held_bytes ${(open + leaked) * 4096}`],
    ...['# TYPE pagerelay_hold_seconds histogram', `pagerelay_hold_seconds_bucket{le="+Inf"} ${counted.holds}`],
    ...[`pagerelay_hold_seconds_sum ${counted.holds / 1000}`, `pagerelay_hold_seconds_count ${counted.holds}`, ''],
  ].join('\n');
}

const server = createServer((request, response) => {
  const { method = '', url = '', headers } = request;
  if (url.startsWith('/regions/') && method === 'GET') return sendRange(response, headers.range ?? '');
  response.on('finish', () => count(method, 200));
  if (url === '/regions') return void response.end('{"regions":[{"name":"demo"}]}');
  if (url.startsWith('/regions/')) return void response.writeHead(200, { 'content-length': region.length }).end();
  response.end(url === '/metrics' ? metrics() : '{"references":[]}');
});
server.listen(0, '127.0.0.1', () => {
  console.log(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
