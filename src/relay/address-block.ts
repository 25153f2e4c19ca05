import { BlockList, isIP } from 'node:net';

/** Addresses that share their first `prefix` bits. */
export type AddressBlock = { readonly address: string; readonly prefix: number; readonly family: 'ipv4' | 'ipv6' };

/** Reads `10.0.0.0/8` or `fd00::/8`; undefined for anything else. */
export function parseAddressBlock(text: string): AddressBlock | undefined {
  const [, address = '', digits = ''] = /^([0-9A-Fa-f.:]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  const prefix = Number(digits);
  if (version === 0 || prefix > (version === 4 ? 32 : 128)) return undefined;
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** A list that tells whether an address is in one of the blocks. */
export function blockListOf(blocks: readonly AddressBlock[]): BlockList {
  const list = new BlockList();
  for (const { address, prefix, family } of blocks) list.addSubnet(address, prefix, family);
  return list;
}
