/** What a server has used so far, with its children. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { childrenOf, cpuSecondsOf } from './cpu.ts';
import { residentBytesOf } from './memory.ts';

/** Of a process and its children. */
export type Usage = {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** It waited. */
  readonly voluntarySwitches: number;
  /** Its time slice was over, or something more urgent came. */
  readonly involuntarySwitches: number;
};

/** @throws Error when it is gone */
export function usageOf(pid: number): Usage {
  const all = [pid, ...childrenOf(pid)];
  const switches = all.map(switchesOf);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    cpuSeconds: cpuSecondsOf(pid),
    residentBytes: sum(all.map(residentBytesOf)),
    voluntarySwitches: sum(switches.map(({ voluntary }) => voluntary)),
    involuntarySwitches: sum(switches.map(({ involuntary }) => involuntary)),
  };
}

function switchesOf(pid: number): { voluntary: number; involuntary: number } {
  const texts = readdirSync(`/proc/${pid}/task`).map((thread) =>
    contextSwitches(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')),
  );
  return texts.reduce(
    (sum, one) => ({
      voluntary: sum.voluntary + one.voluntary,
      involuntary: sum.involuntary + one.involuntary,
    }),
    { voluntary: 0, involuntary: 0 },
  );
}

/** Of one thread, from its status (proc_pid_status(5)). */
export function contextSwitches(status: string): { voluntary: number; involuntary: number } {
  const number = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)$`, 'm').exec(status)?.[1] ?? 0);
  return { voluntary: number('voluntary_ctxt_switches'), involuntary: number('nonvoluntary_ctxt_switches') };
}
