/** Where figures come from. @module */
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** What ran the measurement. */
export type Machine = {
  readonly processor: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly pagerelay: string;
  /** Load average of the last minute, before the run: what else was going on. */
  readonly loadBefore: number;
  readonly date: string;
};

/** Describes this machine, now. */
export function describeMachine(): Machine {
  const processors = os.cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    processors: processors.length,
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()} ${os.machine()}`,
    node: process.version,
    pagerelay: packageVersion(),
    loadBefore: os.loadavg()[0] ?? 0,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}

/** Of TCP, where nobody asks for another: BBR has packets wait for timers, also on loopback. */
export function congestionControl(): string {
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
