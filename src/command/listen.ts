/** Where the service listens. @module */
import { fstatSync } from 'node:fs';
import type { ListenAt, Listener } from '../node/listeners.ts';
import { NativeRelay } from '../relay/native-relay.ts';
import type { Service } from '../service.ts';
import type { ServeOptions } from './flags.ts';
import { socketPathOf } from './listen-flag.ts';
import { UsageError } from './usage-error.ts';

/**
 * Has a service listen at all places that were asked for. It replaces the file of a unix socket that nobody listens on;
 * its own goes when the service is closed.
 *
 * @throws Error when an address can't be had, or a path is something else; UsageError when a descriptor was inherited that
 * nobody can listen by
 */
export async function listen(service: Service, options: ListenOptions): Promise<void> {
  const places = placesOf(options);
  for (const { place } of places) if ('fd' in place) checkInherited(service, place.fd);
  await service.listen(places);
}

type ListenOptions = Pick<ServeOptions, 'host' | 'port' | 'listen' | 'adminListen' | 'socketMode'>;

function placesOf({ host, port, listen, adminListen, socketMode: mode }: ListenOptions): readonly ListenAt[] {
  const path = socketPathOf(host);
  const short: ListenAt = { place: path === undefined ? { host, port } : { path }, text: host };
  const places = [...(listen.length > 0 ? listen : [short]), ...adminListen.map((at) => ({ ...at, isAdmin: true }))];
  return places.map((at) => ('path' in at.place ? { ...at, place: { ...at.place, mode } } : at));
}

// Node would have any socket listen that is bound, and says nothing of others but EINVAL.
function checkInherited({ relay }: Service, fd: number): void {
  try {
    if (relay instanceof NativeRelay) relay.pathOfListener(fd);
    else if (!fstatSync(fd).isSocket()) throw new Error('no socket');
  } catch (cause) {
    throw new UsageError(`--listen fd:${fd}: it must be a stream socket that was inherited, and listens`, { cause });
  }
}

/** How a client finds a listener: what curl needs before the URL, and what its URLs begin with. */
export function wayTo(listener: Listener | undefined): { readonly curl: string; readonly origin: string } {
  const { where = '' } = listener ?? {};
  const path = socketPathOf(where);
  return path === undefined
    ? { curl: 'curl', origin: where }
    : { curl: `curl --unix-socket ${path}`, origin: 'http://localhost' };
}

/** A listener, as the log names it. */
export function nameOf({ where, at: { device, node, takesProxy, isAdmin } }: Listener): string {
  const options = [device && `device=${device}`, node !== undefined && `node=${node}`, takesProxy && 'proxy'];
  return `${[where, ...options.filter(Boolean)].join(',')}${isAdmin ? ' (admin)' : ''}`;
}
