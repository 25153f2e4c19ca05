/** Gives the server and the client a processor each, so that neither takes the other's time. @module */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Command } from '../run/process.ts';

/** Processor numbers. */
export type Pins = { readonly server: number; readonly client: number };

/** The pins of this machine; undefined with one processor, or without taskset. */
export function choosePins(): Pins | undefined {
  if (spawnSync('taskset', ['--version']).error) return undefined;
  const [server, client] = allowedProcessors(readFileSync('/proc/self/status', 'utf8'));
  return server === undefined || client === undefined ? undefined : { server, client };
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

/** A command that runs on one processor only; as it is without one. The process keeps its id. */
export function pinned(processor: number | undefined, command: Command): Command {
  return processor === undefined ? command : ['taskset', '-c', String(processor), ...command];
}
