/** A service that writes the lines of its requests to a file. @module */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AccessLog, type AccessLogFormat } from '../../src/observe/access-log.ts';
import { LogOutput } from '../../src/observe/log-output.ts';
import type { ServiceOptions } from '../../src/service.ts';
import { until } from './poll.ts';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';
import { type Running, startService } from './service.ts';

/** A service, and the lines that it has written so far. */
export type Logged = Running & { readonly lines: () => string[] };

/** What a line of JSON says. */
export type Line = Readonly<Record<string, unknown>>;

/** Starts one. */
export async function startLogged(
  scope: Scope,
  options: Partial<ServiceOptions>,
  format: AccessLogFormat = 'json',
): Promise<Logged> {
  const file = join(makeFolder(scope, 'ext4'), 'access.log');
  const accessLog = new AccessLog(LogOutput.toFile(file), format);
  return { ...(await startService(scope, { drain: 0, ...options, accessLog })), lines: () => linesIn(file) };
}

/** The lines of a file, which may not be there yet, without one that is not whole. */
export function linesIn(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'latin1').split('\n').slice(0, -1) : [];
}

/** The lines of so many requests, as JSON. */
export async function untilLogged({ lines }: Logged, count: number): Promise<Line[]> {
  await until(() => lines().length >= count, `${count} lines`, lines);
  return lines().map((line) => JSON.parse(line) as Line);
}

/** The same; no more come when the service has ended. */
export async function linesAtEnd(logged: Logged, count: number): Promise<Line[]> {
  await untilLogged(logged, count);
  await logged.close();
  const lines = await untilLogged(logged, count);
  if (lines.length !== count) throw new Error(`${lines.length} lines of ${count} requests`);
  return lines;
}
