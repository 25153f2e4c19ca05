/** `pagerelay serve --check`: whether the service would start. It answers nobody, and makes and changes nothing. @module */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ListenAt } from '../node/listeners.ts';
import { createService } from '../service.ts';
import { activatedPlaces } from './activation.ts';
import type { ServeOptions } from './flags.ts';
import { checkPlace, placesOf } from './listen.ts';

/**
 * Opens all that is to be served, and tries all places to listen at.
 *
 * @returns what would be served, and where: text to print
 * @throws Error, UsageError as the service would when it starts
 */
export async function check(options: ServeOptions): Promise<string> {
  checkWriting(options);
  // One that may write would make folders of its own, and undo what a crash has left.
  const trial = { isTrial: true, writable: false, logLevel: 'silent', accessLog: undefined, express: false } as const;
  const service = createService({ ...options, ...trial });
  try {
    await service.app.ready();
    const places = placesOf(options, activatedPlaces(process.env, process.pid, false));
    for (const at of places) await checkPlace(service, at);
    return describe(options, places);
  } finally {
    await service.close();
  }
}

function checkWriting({ dir, writable, accessLog }: ServeOptions): void {
  const mayChange = constants.W_OK | constants.X_OK;
  if (dir !== undefined && writable) accessSync(dir, mayChange);
  if (accessLog === '-' || accessLog === 'off') return;
  const isThere = statSync(accessLog, { throwIfNoEntry: false }) !== undefined;
  accessSync(isThere ? accessLog : dirname(accessLog), isThere ? constants.W_OK : mayChange);
}

function describe({ dir, writable, regions }: ServeOptions, places: readonly ListenAt[]): string {
  const served = [
    ...(dir === undefined ? [] : [`the tree ${dir}${writable ? ', writable' : ''}`]),
    ...regions.map(({ name, path }) => `${name} from ${path}`),
  ];
  const lines = [
    ...(served.length > 0 ? served : ['a demo region']).map((what) => `would serve ${what}`),
    ...places.map((at) => `would listen at ${textOf(at)}`),
  ];
  return `${lines.join('\n')}\n`;
}

function textOf({ place, text, isAdmin }: ListenAt): string {
  const where = 'host' in place && !text.includes(':') ? `${text}:${place.port}` : text;
  return `${where}${isAdmin ? ' (admin)' : ''}`;
}
