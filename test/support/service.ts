/** The service in this process, on a port of its own. @module */
import type { AddressInfo } from 'node:net';
import { createService, type Service, type ServiceOptions } from '../../src/service.ts';
import type { Scope } from './scope.ts';

/** A service that listens. */
export type Running = {
  readonly service: Service;
  readonly port: number;
  readonly origin: string;
  /** Like the service's own `close`; more than one call is one. */
  close(): Promise<boolean>;
};

/** What a test's service runs with where the test does not say. */
export const serviceDefaults: ServiceOptions = {
  dir: undefined,
  regions: [],
  portableEtags: false,
  keepVersions: 0,
  keepBytes: 2 ** 30,
  maxDigestBytes: 2 ** 30,
  cacheControl: 'no-cache',
  headers: [],
  engine: 'auto',
  express: true,
  copyBelow: 0,
  copyFirstBelow: 0,
  unaskable: [],
  lanes: 1,
  maxHold: 30,
  drain: 1,
  logLevel: 'silent',
  writable: false,
  breakHolds: 30,
  maxWait: 10,
  maxConnections: undefined,
  bodyTimeout: 60,
  maxPartial: 64 * 1024 * 1024,
  durability: 'sync',
  maxBytes: undefined,
  allowHosts: [],
  cors: [],
  readTokenFile: undefined,
  writeTokenFile: undefined,
};

/** Starts a service and closes it when the test ends; `prepare` is called before it listens. */
export async function startService(
  scope: Scope,
  options: Partial<ServiceOptions> = {},
  prepare: (service: Service) => void = () => {},
): Promise<Running> {
  const { service, close } = await listenAt(scope, { host: '127.0.0.1', port: 0 }, options, prepare);
  const { port } = service.app.server.address() as AddressInfo;
  return { service, port, origin: `http://127.0.0.1:${port}`, close };
}

/** The same at a unix socket, whose path stands for the port. */
export async function startAtSocket(
  scope: Scope,
  path: string,
  options: Partial<ServiceOptions>,
): Promise<Pick<Running, 'service' | 'close'> & { readonly port: string }> {
  return { ...(await listenAt(scope, { path }, options)), port: path };
}

async function listenAt(
  scope: Scope,
  where: { host: string; port: number } | { path: string },
  options: Partial<ServiceOptions>,
  prepare: (service: Service) => void = () => {},
): Promise<Pick<Running, 'service' | 'close'>> {
  const service = createService({ ...serviceDefaults, ...options });
  prepare(service);
  let closing: Promise<boolean> | undefined;
  const close = () => {
    closing ??= service.close();
    return closing;
  };
  scope.after(close);
  await service.app.listen(where);
  return { service, close };
}
