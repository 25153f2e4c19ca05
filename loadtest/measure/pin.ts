/** Gives the server and the client processors of their own, so that neither takes the other's time. @module */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Command } from '../run/process.ts';

/** Processor numbers. */
export type Pins = { readonly server: readonly number[]; readonly client: readonly number[] };

/**
 * The pins of this machine, with so many processors for the server: the client shares them when there are no others.
 *
 * @returns undefined with fewer processors than that, with one, or without taskset
 */
export function choosePins(servers = 1): Pins | undefined {
  if (spawnSync('taskset', ['--version']).error) return undefined;
  return pinsOf(allowedProcessors(readFileSync('/proc/self/status', 'utf8')), servers);
}

/** How some processors are given out. @see choosePins */
export function pinsOf(allowed: readonly number[], servers: number): Pins | undefined {
  if (allowed.length < 2 || allowed.length < servers) return undefined;
  const server = allowed.slice(0, servers);
  const client = allowed.slice(servers, servers + 1);
  return { server, client: client.length > 0 ? client : server };
}

/** The processors that a process may use, from its /proc/PID/status (proc_pid_status(5)): `Cpus_allowed_list: 0-2,7`. */
export function allowedProcessors(status: string): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  const parts = list.split(',').filter(Boolean);
  return parts.flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/** A command that runs on some processors only; as it is without any. The process keeps its id. */
export function pinned(processors: readonly number[] | undefined, command: Command): Command {
  return processors === undefined ? command : ['taskset', '-c', processors.join(','), ...command];
}
