import { isLoopbackHost } from './loopback-host.ts';

/** A name or an address (IPv6 in brackets), with or without a port. */
const named = /^(?:\[[0-9a-f:.]+\]|[^\s:/?#@[\]\\,]+)(?::[0-9]{1,5})?$/i;

/** What every host is allowed by. */
const anyHost = '*';

/** Whether a text can be one that is allowed: a host with or without a port, or `*`. */
export function isAllowable(text: string): boolean {
  return text === anyHost || (named.test(text) && !text.includes(anyHost));
}

/** The hosts by which a service on the loopback may be asked, beside those of the loopback itself. */
export class AllowedHosts {
  readonly #hosts: ReadonlySet<string>;
  /** Most requests have the Host of the one before. */
  #last: { readonly host: string; readonly isAllowed: boolean } | undefined;

  /** @param hosts as `isAllowable` takes them; one without a port is allowed with any */
  constructor(hosts: readonly string[]) {
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()));
  }

  /**
   * Whether a request with this Host (RFC 9110 7.2) may go on. One without is of HTTP/1.0, which no browser speaks: a health
   * probe, and no page that has a name of its own lead here.
   */
  allows(host: string | undefined): boolean {
    if (host === undefined) return true;
    if (this.#last?.host !== host) this.#last = { host, isAllowed: this.#judge(host) };
    return this.#last.isAllowed;
  }

  #judge(host: string): boolean {
    if (isLoopbackHost(host) || this.#hosts.has(anyHost)) return true;
    const given = host.toLowerCase();
    return this.#hosts.has(given) || this.#hosts.has(given.replace(/:[0-9]*$/, ''));
  }
}
