/** How places to listen at are written on a command line. @module */
import { isIPv6 } from 'node:net';
import type { ListenAt, Place } from '../node/listeners.ts';

const longestSocketPath = 107; // struct sockaddr_un, with a NUL behind it
const longestDevice = 15; // IFNAMSIZ, likewise
const mostDescriptor = 999_999;
const mostNode = 1023;
const scheme = 'unix:';

/** As many as lanes accept from (PR_MOST_DOORS). */
export const mostListeners = 16;

/** What a value must be. */
export const listenRule =
  'HOST:PORT, [IPV6]:PORT, unix:PATH or fd:N, and behind a comma each: device=NAME (with a port), node=N, proxy';

/** Reads `127.0.0.1:8080`, `[::1]:8080,device=eth1`, `unix:/run/pagerelay.sock`, `fd:3,node=0`; undefined for what is none. */
export function readListen(text: string): ListenAt | undefined {
  const [where = '', ...options] = text.split(',');
  const place = readPlace(where);
  const given = new Map(
    options.map((option): [string, string] => [option.split('=')[0] ?? '', option.replace(/^[^=]*=?/, '')]),
  );
  if (!place || given.size !== options.length) return undefined;
  let at: ListenAt | undefined = { place, text };
  for (const [name, value] of given) at = at && withOption(at, name, value);
  return at;
}

function readPlace(text: string): Place | undefined {
  const path = socketPathOf(text);
  if (path !== undefined) return isSocketPath(path) ? { path } : undefined;
  const [, descriptor] = /^fd:([0-9]{1,6})$/.exec(text) ?? [];
  if (descriptor !== undefined) return Number(descriptor) <= mostDescriptor ? { fd: Number(descriptor) } : undefined;
  const [, bracketed, name = '', digits = ''] = /^(?:\[([^\]]+)\]|([^\s/:[\]]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const port = digits === '' ? -1 : Number(digits);
  if (port < 0 || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) return undefined;
  return { host: bracketed ?? name, port };
}

function withOption(at: ListenAt, name: string, value: string): ListenAt | undefined {
  if (name === 'device') {
    const isName = /^[^\s/:]+$/.test(value) && Buffer.byteLength(value) <= longestDevice;
    return isName && 'host' in at.place ? { ...at, device: value } : undefined;
  }
  if (name === 'proxy') return value === '' ? { ...at, takesProxy: true } : undefined;
  if (name === 'node')
    return /^[0-9]{1,4}$/.test(value) && Number(value) <= mostNode ? { ...at, node: Number(value) } : undefined;
  return undefined;
}

/** The path of the unix socket that a host names, as in `unix:/run/pagerelay.sock`; undefined for an address. */
export function socketPathOf(host: string): string | undefined {
  return host.startsWith(scheme) ? host.slice(scheme.length) : undefined;
}

/** Whether a unix socket can have this path. */
export function isSocketPath(path: string): boolean {
  return path !== '' && !path.includes('\0') && Buffer.byteLength(path) <= longestSocketPath;
}

/** Completes "the path of a unix socket has". */
export const socketPathRule = `at most ${longestSocketPath} bytes`;
