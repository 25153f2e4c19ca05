/** What the kernel tells of a process and its children. @module */
import { readdirSync, readFileSync } from 'node:fs';

/** What they have used so far. */
export type Usage = {
  /** User and system, the kernel's work for packets on loopback included. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Context switches of all threads. */
  readonly switches: number;
};

/** Of a process with its threads, and of its children. Threads must not end between two looks. @throws Error when it is gone */
export function usageOf(pid: number): Usage {
  const all = [pid, ...childrenOf(pid)];
  return {
    cpuSeconds: sum(all.map(cpuSecondsOf)),
    residentBytes: sum(all.map((each) => residentBytes(readFileSync(`/proc/${each}/status`, 'utf8')))),
    switches: sum(all.flatMap(threadsOf).map((thread) => contextSwitches(readFileSync(`${thread}/status`, 'utf8')))),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}

// The scheduler's own count, in nanoseconds, where the kernel shows it: a hundredth of a second is much of a short load.
function cpuSecondsOf(pid: number): number {
  try {
    return sum(threadsOf(pid).map((thread) => runNanoseconds(readFileSync(`${thread}/schedstat`, 'latin1')))) / 1e9;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return cpuTicks(readFileSync(`/proc/${pid}/stat`, 'latin1')) / ticksPerSecond;
  }
}

/** USER_HZ (time(7)): the same on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** The first number of a /proc/PID/task/TID/schedstat (sched-stats.rst): nanoseconds on a processor. */
export function runNanoseconds(schedstat: string): number {
  return Number(schedstat.split(' ', 1)[0]);
}

/** utime + stime of a /proc/PID/stat (proc_pid_stat(5), fields 14 and 15): for all threads of the process. */
export function cpuTicks(stat: string): number {
  // The name before them may hold anything, also spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Processes that it has started and that run, with theirs. */
export function childrenOf(pid: number): number[] {
  const own = threadsOf(pid).flatMap((thread) => readFileSync(`${thread}/children`, 'latin1').split(' '));
  return own.filter(Boolean).flatMap((child) => [Number(child), ...childrenOf(Number(child))]);
}

function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`);
}

/** VmRSS of a /proc/PID/status (proc_pid_status(5)): with what it shares. @throws Error when it is not there */
export function residentBytes(status: string): number {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error('a process without VmRSS');
  return Number(kibibytes) * 1024;
}

/** Of one thread, from its status (proc_pid_status(5)): those that waited, and those whose time was over. */
export function contextSwitches(status: string): number {
  return sum([...status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s*(\d+)$/gm)].map(([, count]) => Number(count)));
}

/** How many files a process may have open: the soft limit in its /proc/PID/limits (proc_pid_limits(5)). */
export function openFileLimit(limits: string): number {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return soft === 'unlimited' || soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
