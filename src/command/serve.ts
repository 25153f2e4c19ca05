import { AccessLog } from '../observe/access-log.ts';
import { LogOutput } from '../observe/log-output.ts';
import { encodeName } from '../region/name.ts';
import { createService, type Service } from '../service.ts';
import { activatedPlaces } from './activation.ts';
import { exitNow, flush, leave } from './ending.ts';
import { Inherited } from './inherited.ts';
import { checkPlaces, listen, nameOf, wayTo } from './listen.ts';
import { Manager } from './manager.ts';
import type { ServeOptions } from './options.ts';
import { errors, output, outputs } from './streams.ts';
import { Followed } from './successor.ts';

/**
 * Runs the service until SIGTERM, SIGINT or SIGQUIT, then drains it; a second one ends it at once. Or until another
 * process has taken its place, at SIGUSR2, and nothing is in flight here any more.
 *
 * @throws Error when a region or the address can't be had
 */
export async function serve(options: ServeOptions): Promise<void> {
  if (options.writable) collectOften();
  const accessLog = openAccessLog(options);
  const inherited = Inherited.take();
  const service = await start(options, accessLog, inherited).catch((error: unknown) => {
    inherited?.close(); // The other process goes on, as soon as this one has ended.
    throw error;
  });
  if (!service) {
    inherited?.close();
    await leave(1);
    return;
  }
  watchFaults(service);
  const manager = new Manager(process.env, (why) => service.app.log.warn({ why }, 'the manager can not be told'));
  process.on('SIGHUP', () => void reload(service, manager));
  process.on('SIGUSR1', () => reopen(service, accessLog, options.accessLog));
  errors.write(greeting(service, options));
  // It is written now, for SIGKILL leaves no time for it.
  setImmediate(() => process.getBuiltinModule('node:module').flushCompileCache());
  manager.ready(statusOf(service));
  const end = new AbortController();
  const followed = new Followed(service, manager, () => inherited?.hasEnded !== false, end.signal);
  await Promise.race([endAsked().then(() => manager.stopping()), followed.byAnother]);
  end.abort();
  await followed.settled();
  await followed.end(await drain(service, options));
  inherited?.close();
  await leave(0);
}

/**
 * Keeps the space for young objects as small as it is at the start. Bodies come in buffers outside of the heap, which go
 * when that space is collected. Where it grows to its usual 16 MiB, that happens so seldom that V8 collects the whole
 * heap instead, every fifteen overwrites of 64 KiB: at 100 a second each took 2.6 ms of CPU instead of 2.3, and the
 * slowest of a hundred 53 ms instead of 12. V8 reads this flag whenever it would have that space grow.
 */
function collectOften(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}

/** The access log that was asked for, if any. @throws Error with a `code` when its file can't be opened */
function openAccessLog({ accessLog, accessLogFormat, logLevel }: ServeOptions): AccessLog | undefined {
  if (accessLog === 'off') return undefined;
  if (accessLog === '-') {
    // On standard output its lines stand among messages, and are of the level `info`.
    const isLogged = logLevel === 'trace' || logLevel === 'debug' || logLevel === 'info';
    return isLogged ? new AccessLog(output, accessLogFormat) : undefined;
  }
  const file = LogOutput.toFile(accessLog);
  outputs.add(file);
  return new AccessLog(file, accessLogFormat);
}

/** Undefined where the process whose place this one was to take goes on itself. */
async function start(
  options: ServeOptions,
  accessLog: AccessLog | undefined,
  inherited: Inherited | undefined,
): Promise<Service | undefined> {
  const express = !options.noExpress;
  const service = createService({ ...options, accessLog, express, log: output, succeeds: inherited !== undefined });
  try {
    await service.app.ready();
    const activated = activatedPlaces(process.env, process.pid, inherited !== undefined);
    if (inherited) {
      service.succession.inherit(inherited.sockets);
      await checkPlaces(service, options, activated);
    }
    if (inherited && !(await inherited.takeOver(service))) return undefined;
    await listen(service, options, activated);
    inherited?.open(service.succession.keys());
    return service;
  } catch (error) {
    await service.close();
    throw error;
  }
}

/** Resolves at the first signal that ends the service; the next one ends the process. */
function endAsked(): Promise<void> {
  let isAsked = false;
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
      process.on(signal, () => {
        if (isAsked) exitNow(1);
        isAsked = true;
        resolve();
      });
    }
  });
}

/** Whether nothing was broken off. */
async function drain({ app, close }: Service, { drain: seconds }: ServeOptions): Promise<boolean> {
  app.log.info({ seconds }, 'draining');
  const clean = await close();
  if (!clean) app.log.warn('the drain time is over: connections were broken off');
  return clean;
}

function greeting(service: Service, options: ServeOptions): string {
  const listeners = service.listeners();
  const { curl, origin } = wayTo(listeners[0]);
  const watched = wayTo(listeners.find(({ servesAll }) => servesAll));
  const name = options.dir === undefined ? (options.regions[0]?.name ?? 'demo') : undefined;
  const lines = [
    ...listeners.map((listener) => `pagerelay listens on ${nameOf(listener)}`),
    ...(name ? [`  ${curl} -r 4096-8191 ${origin}/regions/${encodeName(name)}`] : []),
    `  ${curl} ${origin}/regions`,
    `  ${watched.origin}/ (a page to watch)`,
    `  ${watched.curl} ${watched.origin}/references`,
    `  ${watched.curl} ${watched.origin}/metrics`,
  ];
  return `${lines.join('\n')}\n`;
}

async function reload(service: Service, manager: Manager): Promise<void> {
  service.app.log.info('reloading');
  manager.reloading();
  await service.reload();
  manager.ready(statusOf(service));
}

/** One line on a service that answers. */
function statusOf(service: Service): string {
  return `listening at ${service.listeners().map(nameOf).join(', ')}`;
}

function reopen({ app }: Service, accessLog: AccessLog | undefined, path: string): void {
  if (!accessLog || accessLog.output === output) return;
  try {
    accessLog.output.reopen(path);
    app.log.info({ path }, 'the access log was opened again');
  } catch (error) {
    app.log.error({ err: error }, 'the access log could not be opened again, and goes on where it was');
  }
}

// Logs what Node itself would write to standard error, and wait for that.
function watchFaults({ app }: Service): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => app.log.warn({ err: warning }, warning.message));
  process.on('uncaughtException', (error) => {
    app.log.fatal({ err: error }, 'a fault of the service itself');
    errors.write(`pagerelay: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    void flush().then(() => exitNow(1));
  });
}
