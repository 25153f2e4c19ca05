import type { AddressInfo } from 'node:net';
import { encodeName } from '../region/name.ts';
import { createService, type Service } from '../service.ts';
import type { ServeOptions } from './options.ts';

/**
 * Runs the service until SIGTERM or SIGINT, then drains it; a second signal ends it at once.
 *
 * @throws Error when a region or the address can't be had
 */
export async function serve(options: ServeOptions): Promise<void> {
  const service = createService({ ...options, express: !options.noExpress });
  try {
    await service.app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await service.close();
    throw error;
  }
  greet(service, options);
  await signalled();
  service.app.log.info({ seconds: options.drain }, 'draining');
  const clean = await service.close();
  if (!clean) service.app.log.warn('the drain time is over: connections were broken off');
}

function greet(service: Service, options: ServeOptions): void {
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
  // Standard output is the log's; what a person reads goes beside it.
  process.stderr.write(`${lines.join('\n')}\n`);
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        signals++;
        if (signals > 1) process.exit(1);
        resolve();
      });
    }
  });
}
