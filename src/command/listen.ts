/** Where the service listens. @module */
import { once } from 'node:events';
import { accessSync, constants, readFileSync, readlinkSync } from 'node:fs';
import { createServer, isIP } from 'node:net';
import { dirname } from 'node:path';
import type { ListenAt, Listener } from '../node/listeners.ts';
import { findStale } from '../node/unix-path.ts';
import { NativeRelay } from '../relay/native-relay.ts';
import type { Service } from '../service.ts';
import type { ServeOptions } from './flags.ts';
import { socketPathOf } from './listen-flag.ts';
import { UsageError } from './usage-error.ts';

/**
 * Has a service listen at all places that were asked for. It replaces the file of a unix socket that nobody listens on;
 * its own goes when the service is closed.
 *
 * @param activated sockets that were opened for the service, in place of `--host` and `--port`
 * @throws Error when an address can't be had, or a path is something else; UsageError when a descriptor was inherited that
 * nobody can listen by
 */
export async function listen(
  service: Service,
  options: ListenOptions,
  activated: readonly ListenAt[] = [],
): Promise<void> {
  const places = placesOf(options, activated);
  for (const at of places) {
    if ('fd' in at.place && !service.succession.inherits(at)) checkInherited(service, at.place.fd);
  }
  await service.listen(places);
}

/**
 * Finds out whether it could, without accepting anybody: a process that takes another one's place must not fail any more
 * when it has it.
 *
 * @throws as `listen`
 */
export async function checkPlaces(
  service: Service,
  options: ListenOptions,
  activated: readonly ListenAt[],
): Promise<void> {
  for (const at of placesOf(options, activated)) {
    const { place } = at;
    if (service.succession.inherits(at)) continue;
    // A name is known by the addresses that it has, which are looked up when it listens.
    const isAddress = 'host' in place && isIP(place.host) > 0 && place.port > 0 && !at.device;
    if ('fd' in place || isAddress) await checkPlace(service, at);
  }
}

/** Finds out whether a service could listen there. @throws as `listen` */
export async function checkPlace(service: Service, { place }: ListenAt): Promise<void> {
  if ('fd' in place) return checkInherited(service, place.fd);
  if ('host' in place) return tryToListen(place);
  await findStale(place.path);
  accessSync(dirname(place.path), constants.W_OK | constants.X_OK);
}

async function tryToListen(place: { readonly host: string; readonly port: number }): Promise<void> {
  const server = createServer();
  await once(server.listen({ ...place, exclusive: true }), 'listening');
  await new Promise((resolve) => server.close(resolve));
}

type ListenOptions = Pick<ServeOptions, 'host' | 'port' | 'listen' | 'adminListen' | 'socketMode'>;

/** All places to listen at. */
export function placesOf(
  { host, port, listen, adminListen, socketMode: mode }: ListenOptions,
  activated: readonly ListenAt[],
): readonly ListenAt[] {
  const path = socketPathOf(host);
  const short: ListenAt = { place: path === undefined ? { host, port } : { path }, text: host };
  const given = [...activated, ...listen];
  const places = [
    ...(given.some(isPublic) ? given : [...given, short]),
    ...adminListen.map((at) => ({ ...at, isAdmin: true })),
  ];
  return places.map((at) => ('path' in at.place ? { ...at, place: { ...at.place, mode } } : at));
}

function isPublic({ isAdmin }: ListenAt): boolean {
  return !isAdmin;
}

// Node would have any socket listen that is bound, and says nothing of others but EINVAL.
function checkInherited({ relay }: Service, fd: number): void {
  try {
    if (relay instanceof NativeRelay) relay.pathOfListener(fd);
    else if (!isListening(fd)) throw new Error('it does not listen');
  } catch (cause) {
    throw new UsageError(`--listen fd:${fd}: it must be a stream socket that was inherited, and listens`, { cause });
  }
}

// Without the shim /proc tells it: of TCP the state (0A is LISTEN), of unix sockets a flag (__SO_ACCEPTCON) and the type.
function isListening(fd: number): boolean {
  const [, inode] = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
  const rows = (family: string) =>
    readFileSync(`/proc/net/${family}`, 'utf8')
      .split('\n')
      .map((row) => row.trim().split(/\s+/));
  const isOfTcp = ['tcp', 'tcp6'].flatMap(rows).some((row) => row[9] === inode && row[3] === '0A');
  const isOfUnix = rows('unix').some((row) => row[6] === inode && row[3] === '00010000' && row[4] === '0001');
  return inode !== undefined && (isOfTcp || isOfUnix);
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
