/** The memory of a server. @module */
import { readFileSync } from 'node:fs';

/** Bytes in memory, of a process without its children, with what it shares (proc_pid_status(5), VmRSS). */
export function residentBytesOf(pid: number): number {
  return residentBytes(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** VmRSS of a /proc/PID/status. @throws Error when it is not there */
export function residentBytes(status: string): number {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error('a process without VmRSS');
  return Number(kibibytes) * 1024;
}

/** How many files a process may have open (proc_pid_limits(5)). */
export function openFileLimitOf(pid: number): number {
  return openFileLimit(readFileSync(`/proc/${pid}/limits`, 'utf8'));
}

/** The soft limit on open files in a /proc/PID/limits. */
export function openFileLimit(limits: string): number {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return soft === 'unlimited' || soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
