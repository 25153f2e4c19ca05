/** The processor time that a server has used. @module */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ (time(7)): the same on every architecture that Node runs on. */
const ticksPerSecond = 100;

/**
 * Seconds of processor time, user and system, of a process with all its threads and of its children. What the kernel
 * does for its packets on the loopback device is part of it. Threads must not end between two looks.
 */
export function cpuSecondsOf(pid: number): number {
  return childrenOf(pid).reduce((sum, child) => sum + cpuSecondsOf(child), ownSeconds(pid));
}

// The scheduler's own count, in nanoseconds, where the kernel shows it: a hundredth of a second is much of a short sample.
function ownSeconds(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const times = threads.map((thread) =>
      runNanoseconds(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')),
    );
    return times.reduce((sum, time) => sum + time, 0) / 1e9;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return cpuTicks(readFileSync(`/proc/${pid}/stat`, 'latin1')) / ticksPerSecond;
  }
}

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

/** Processes that it has started and that run. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const list = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1');
    return list.split(' ').filter(Boolean).map(Number);
  });
}
