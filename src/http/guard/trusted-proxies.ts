/**
 * Proxies that are trusted to say for whom they ask. Lanes judge alike (native-shim/core/http/proxy.c, wire/proxied.c).
 *
 * @module
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { type AddressBlock, blockListOf, parseAddressBlock } from '../../relay/address-block.ts';

/** Who comes by a unix socket, and so has no address. */
export const unixPeer = 'unix:';

/** Addresses of proxies; or all that come by a unix socket. */
export type TrustedProxy = AddressBlock | typeof unixPeer;

/** Reads `10.0.0.0/8`, `fd00::/8` or `unix:`; undefined for anything else. */
export function parseTrustedProxy(text: string): TrustedProxy | undefined {
  return text === unixPeer ? text : parseAddressBlock(text);
}

/** The same as text. */
export function trustedProxyText(proxy: TrustedProxy): string {
  return proxy === unixPeer ? proxy : `${proxy.address}/${proxy.prefix}`;
}

/** Those of one service. */
export class TrustedProxies {
  readonly list: readonly TrustedProxy[];
  readonly #addresses: BlockList;
  readonly #trustsUnix: boolean;

  constructor(list: readonly TrustedProxy[]) {
    this.list = list;
    this.#addresses = blockListOf(list.filter((proxy) => proxy !== unixPeer));
    this.#trustsUnix = list.includes(unixPeer);
  }

  /** Whether this address is a trusted proxy's; undefined is that of who comes by a unix socket. */
  trusts(address: string | undefined): boolean {
    if (this.list.length === 0) return false;
    if (address === undefined) return this.#trustsUnix;
    return this.#addresses.check(isIPv4(address) ? `::ffff:${address}` : address, 'ipv6');
  }

  /** Who asks by a request, as of `clientOf`. @param peer who is connected, or who a header of the PROXY protocol has named */
  clientOfRequest(peer: string | undefined, headers: IncomingHttpHeaders): string | undefined {
    return this.trusts(peer) ? this.clientOf(peer, [headers['x-forwarded-for'] ?? []].flat().join(',')) : peer;
  }

  /**
   * Who asks. A trusted proxy says it in X-Forwarded-For: of the addresses there it is the last that is not trusted itself;
   * where all are, the first. What is no address ends that list.
   *
   * @param peer who is connected, or who a header of the PROXY protocol has named
   * @param forwardedFor the value of that field, all of them where there are several
   */
  clientOf(peer: string | undefined, forwardedFor: string | undefined): string | undefined {
    let client = peer;
    for (const text of forwardedFor?.split(',').toReversed() ?? []) {
      const next = this.trusts(client) ? addressIn(text.replace(/^[ \t]+|[ \t]+$/g, '')) : undefined;
      if (next === undefined) break;
      client = next;
    }
    return client;
  }
}

// 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80.
function addressIn(text: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::[0-9]{1,5})?|([^:[]*)(?::[0-9]{1,5})?)$/.exec(text) ?? [];
  if (plain !== undefined) return isIPv4(plain) ? plain : undefined;
  const address = bracketed ?? text;
  return isIPv6(address) && !address.includes('%') ? canonicalIPv6(address) : undefined;
}

/** An address of IPv6 as the kernel writes it (RFC 5952). */
export function canonicalIPv6(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}
