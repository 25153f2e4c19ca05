import type { AddressInfo } from 'node:net';
import { encodeName } from '../region/name.ts';
import { createService, type Service } from '../service.ts';
import { exitNow, flush, leave } from './ending.ts';
import type { ServeOptions } from './options.ts';
import { onEnding, onReload } from './signals.ts';
import { errors, output } from './streams.ts';

/**
 * Runs the service until SIGTERM, SIGINT or SIGQUIT, then drains it; a second one ends it at once.
 *
 * @throws Error when a region or the address can't be had
 */
export async function serve(options: ServeOptions): Promise<void> {
  const service = await start(options);
  watchFaults(service);
  onReload(() => void reload(service));
  errors.write(greeting(service, options));
  await new Promise<void>((resolve) => onEnding(resolve, () => exitNow(1)));
  await drain(service, options);
  await leave(0);
}

async function start(options: ServeOptions): Promise<Service> {
  const service = createService({ ...options, express: !options.noExpress, log: output });
  try {
    await service.app.listen({ host: options.host, port: options.port });
    return service;
  } catch (error) {
    await service.close();
    throw error;
  }
}

async function drain({ app, close }: Service, { drain: seconds }: ServeOptions): Promise<void> {
  app.log.info({ seconds }, 'draining');
  const clean = await close();
  if (!clean) app.log.warn('the drain time is over: connections were broken off');
}

function greeting(service: Service, options: ServeOptions): string {
  const { address, port, family } = service.app.server.address() as AddressInfo;
  const origin = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  const name = options.dir === undefined ? (options.regions[0]?.name ?? 'demo') : undefined;
  const lines = [
    `pagerelay listens on ${origin}`,
    ...(name ? [`  curl -r 4096-8191 ${origin}/regions/${encodeName(name)}`] : []),
    `  ${origin}/ (a page to watch)`,
    `  curl ${origin}/regions`,
    `  curl ${origin}/references`,
    `  curl ${origin}/metrics`,
  ];
  return `${lines.join('\n')}\n`;
}

async function reload(service: Service): Promise<void> {
  service.app.log.info('reloading');
  await service.reload();
}

// What Node itself would write to standard error, waiting for as long as that blocks.
function watchFaults({ app }: Service): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => app.log.warn({ err: warning }, warning.message));
  process.on('uncaughtException', (error) => {
    app.log.fatal({ err: error }, 'a fault of the service itself');
    errors.write(`pagerelay: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    void flush().then(() => exitNow(1));
  });
}
