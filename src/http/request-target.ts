import type { IncomingMessage } from 'node:http';
import { ProblemError } from './problems.ts';

/** The path and query of a request-target; of one in absolute form (RFC 9112 3.2.2) without scheme and authority. */
export function targetPath(target: string): string {
  if (target === '*') return '/'; // OPTIONS * asks about the whole server (RFC 9110 9.3.7).
  // RFC 9110 4.2.1: an http URI without a host is invalid, and then names nothing here.
  const [, path] = /^https?:\/\/[^/?#:][^/?#]*(.*)$/i.exec(target) ?? [];
  if (path === undefined) return target;
  return path.startsWith('/') ? path : `/${path}`;
}

/**
 * Refuses a request with more than one Host, with one that is no host, or, in HTTP/1.1, with none (RFC 9112 3.2).
 *
 * @throws ProblemError `bad-request`, which closes the connection
 */
export function refuseBadHost(request: IncomingMessage): void {
  const hosts = request.rawHeaders.filter((_, at) => at % 2 === 0 && /^host$/i.test(request.rawHeaders[at] ?? ''));
  const missing = hosts.length === 0 && request.httpVersion === '1.1';
  if (!missing && hosts.length <= 1 && isHost(request.headers.host ?? '')) return;
  const detail = missing ? 'Host is missing.' : hosts.length > 1 ? 'Host is there more than once.' : 'Host is no host.';
  throw new ProblemError('bad-request', { detail, headers: { connection: 'close' } });
}

// uri-host [ ":" port ] (RFC 9110 7.2), or empty where the target has no authority.
function isHost(text: string): boolean {
  return /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?$/.test(text);
}
