/**
 * The PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt, 2.2), on connections that Node accepts. Lanes read it alike
 * (native-shim/core/http/proxy.c).
 *
 * @module
 */
import type { Socket } from 'node:net';
import { canonicalIPv6 } from '../http/guard/trusted-proxies.ts';
import { tellPeer } from './internals.ts';

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const fixed = 16; // signature, version and command, family and transport, length of the rest
const longest = 16 << 10;
const [local, proxied] = [0x20, 0x21];
const unspecified = 0;
/** Bytes of addresses, by family and transport. */
const addressBytes: Readonly<Record<number, number>> = { 17: 12, 33: 36, 49: 216 };
const crc32cType = 3;

/** What a header says. */
export type ProxyHeader = {
  readonly length: number;
  /** Undefined where none is told: the client is who is connected. */
  readonly client: { readonly address: string; readonly port: number } | undefined;
};

/** Reads the header that these bytes begin with: `part` of one, or `foreign`, which is anything else. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'part' | 'foreign' {
  if (bytes.compare(signature, 0, Math.min(bytes.length, 12), 0, Math.min(bytes.length, 12)) !== 0) return 'foreign';
  const command = bytes[12] ?? proxied;
  if (command !== local && command !== proxied) return 'foreign';
  if (bytes.length < fixed) return 'part';
  const length = fixed + bytes.readUInt16BE(14);
  const family = bytes[13] ?? unspecified;
  const tells = command === proxied && family !== unspecified;
  const addresses = tells ? addressBytes[family] : 0;
  if (addresses === undefined || length > longest || length < fixed + addresses) return 'foreign';
  if (bytes.length < length) return 'part';
  if (!tells) return { length, client: undefined };
  const header = bytes.subarray(0, length);
  return isSound(header, fixed + addresses) ? { length, client: clientIn(family, header) } : 'foreign';
}

function clientIn(family: number, header: Buffer): ProxyHeader['client'] {
  if (family === 0x11)
    return { address: header.subarray(fixed, fixed + 4).join('.'), port: header.readUInt16BE(fixed + 8) };
  if (family !== 0x21) return undefined;
  const groups = Array.from({ length: 8 }, (_, place) => header.readUInt16BE(fixed + 2 * place).toString(16));
  return { address: canonicalIPv6(groups.join(':')), port: header.readUInt16BE(fixed + 32) };
}

// Whether what is behind the addresses is whole, and a checksum in it, once, is right.
function isSound(header: Buffer, from: number): boolean {
  let sumAt = 0;
  for (let at = from; at < header.length; ) {
    if (header.length - at < 3) return false;
    const length = header.readUInt16BE(at + 1);
    const isSum = header[at] === crc32cType;
    if (length > header.length - at - 3 || (isSum && (length !== 4 || sumAt > 0))) return false;
    if (isSum) sumAt = at + 3;
    at += 3 + length;
  }
  if (sumAt === 0) return true;
  const summed = Buffer.from(header).fill(0, sumAt, sumAt + 4);
  return crc32c(summed) === header.readUInt32BE(sumAt);
}

const polynomial = 0x82f63b78;

/** CRC-32C (RFC 3720 B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  }
  return ~crc >>> 0;
}

/**
 * Has a socket begin with a header, whose client is told as its peer from then on. Who sends anything else, or takes too
 * long, is closed.
 *
 * @param milliseconds how long the header may take; 0 for any time
 * @param then is called with the socket behind its header
 */
export function awaitProxyHeader(socket: Socket, milliseconds: number, then: () => void): void {
  let read = Buffer.alloc(0);
  const timer = milliseconds > 0 ? setTimeout(() => socket.destroy(), milliseconds) : undefined;
  const end = () => socket.destroy();
  const take = (bytes: Buffer) => {
    read = Buffer.concat([read, bytes]);
    const header = readProxyHeader(read);
    if (header === 'part') return;
    stop();
    if (header === 'foreign') {
      socket.destroy();
      return;
    }
    socket.pause();
    if (header.client) tellPeer(socket, header.client.address, header.client.port);
    if (read.length > header.length) socket.unshift(read.subarray(header.length));
    then();
    socket.resume();
  };
  const stop = () => {
    clearTimeout(timer);
    socket.removeListener('data', take).removeListener('end', end).removeListener('error', end);
    socket.removeListener('close', stop);
  };
  socket.on('data', take).on('end', end).on('error', end).on('close', stop);
}
