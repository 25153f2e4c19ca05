/** Headers of the PROXY protocol, version 2. @module */
import { crc32c } from '../../src/node/proxy-header.ts';

export const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A header of a command and a family, with what is behind its length. */
export function proxyHeader(command: number, family: number, ...parts: (Buffer | number[])[]): Buffer {
  const rest = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([signature, Buffer.from([command, family, rest.length >> 8, rest.length & 255]), rest]);
}

/** Addresses and ports: of a client at 192.0.2.1 or [2001:db8::1], port 4660. */
export const four = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 0, 80];
const six = (last: number) => [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
export const sixes = [...six(1), ...six(2), 0x12, 0x34, 0, 80];

export const headers = {
  four: proxyHeader(0x21, 0x11, four),
  six: proxyHeader(0x21, 0x21, sixes),
  unix: proxyHeader(0x21, 0x31, Buffer.alloc(216, 'a')),
  local: proxyHeader(0x20, 0x11, [1, 2, 3]),
  unspecified: proxyHeader(0x21, 0, [1, 2, 3]),
  trusted: proxyHeader(0x21, 0x11, [10, 0, 0, 1, ...four.slice(4)]),
  tlvs: proxyHeader(0x21, 0x11, four, [4, 0, 0, 0xe0, 0, 2, 1, 2]),
  summed: summed(four, [0xe0, 0, 1, 7]),
} as const;

/** One with a checksum behind its addresses and TLVs. */
export function summed(...parts: number[][]): Buffer {
  const header = proxyHeader(0x21, 0x11, ...parts, [3, 0, 4, 0, 0, 0, 0]);
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}

/** What is no header, or a wrong one. */
export const wrongHeaders: readonly Buffer[] = [
  Buffer.from('GET /regions/f0 HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /regions/f0 HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  proxyHeader(0x11, 0x11, four),
  proxyHeader(0x22, 0x11, four),
  proxyHeader(0x21, 0x12, four),
  proxyHeader(0x21, 0x41, four),
  proxyHeader(0x21, 0x11, four.slice(1)),
  proxyHeader(0x21, 0x21, sixes.slice(1)),
  proxyHeader(0x21, 0x31, Buffer.alloc(215)),
  proxyHeader(0x21, 0, Buffer.alloc((16 << 10) - 15)),
  proxyHeader(0x21, 0x11, four, [4, 0]),
  proxyHeader(0x21, 0x11, four, [4, 0, 1]),
  proxyHeader(0x21, 0x11, four, [3, 0, 4, 0, 0, 0, 0]),
  proxyHeader(0x21, 0x11, four, [3, 0, 3, 0, 0, 0]),
  summed(four, [3, 0, 4, 0, 0, 0, 0]),
];
