/** How busy the threads are that carry regions. @module */
import type { Relay } from '../relay/relay.ts';

/** A thread, and the CPU seconds that it has used since it began. */
export type ThreadTime = { readonly name: string; readonly cpuSeconds: number };

/** The threads of a relay: Node's own, which must ask, first. */
export function threadTimes(relay: Relay): ThreadTime[] {
  const lanes = relay.lanes().map(({ cpuSeconds }, at) => ({ name: `lane ${at}`, cpuSeconds: rounded(cpuSeconds) }));
  // Node has it since 23.9.
  const used = (process as Partial<Pick<NodeJS.Process, 'threadCpuUsage'>>).threadCpuUsage?.();
  return used ? [{ name: 'event loop', cpuSeconds: rounded((used.user + used.system) / 1e6) }, ...lanes] : lanes;
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1e3) / 1e3;
}
