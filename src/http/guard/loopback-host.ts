import { isIP } from 'node:net';
import { blockListOf } from '../../relay/address-block.ts';

const loopback = blockListOf([
  { address: '127.0.0.0', prefix: 8, family: 'ipv4' },
  { address: '::1', prefix: 128, family: 'ipv6' },
]);

/**
 * Tells whether a Host field (RFC 9110 7.2) names this machine's loopback, with or without a port: `localhost`, a name
 * below it (RFC 6761 6.3), 127.0.0.0/8 or `[::1]`.
 *
 * A page of another site can have its own name resolve to 127.0.0.1 (DNS rebinding), and a browser then takes this
 * service for that site; but it sends that name as Host. Names that only start or end like these are refused, and so are
 * other spellings of addresses: browsers send them as four decimal numbers.
 *
 * @param host as Node gives it; undefined when the request has none
 */
export function isLoopbackHost(host: string | undefined): boolean {
  const [, bracketed, plain = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*))(?::[0-9]*)?$/i.exec(host ?? '') ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6 && isLoopbackAddress(bracketed);
  return isIP(plain) === 4 ? isLoopbackAddress(plain) : isLoopbackName(plain);
}

/** Whether an address, IPv4 or IPv6 without brackets, is of the loopback; false for what is no address. */
export function isLoopbackAddress(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && loopback.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

function isLoopbackName(name: string): boolean {
  return /^(?:[a-z0-9_-]+\.)*localhost\.?$/i.test(name);
}
