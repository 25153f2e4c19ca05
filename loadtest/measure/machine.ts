/** Where figures come from. @module */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** What ran the measurement. */
export type Machine = ReturnType<typeof describeMachine>;

/** Describes this machine, now. */
export function describeMachine() {
  const processors = os.cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    processors: processors.length,
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()} ${os.machine()}`,
    node: process.version,
    pagerelay: versionOfPackage(),
    /** Load average of the last minute, before the run: what else was going on. */
    loadBefore: os.loadavg()[0] ?? 0,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}

/** Of TCP, where nobody asks for another: BBR has packets wait for timers, also on loopback. */
export function congestionControl(): string {
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
}

/** Of a package of npm that is installed; without a name, of this one. */
export function versionOfPackage(name?: string): string {
  const path = name === undefined ? '../../package.json' : `../../node_modules/${name}/package.json`;
  return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;
}

/** Of a server that is installed, as it prints it itself; undefined where there is none. */
export function versionOfProgram(program: string): string | undefined {
  const { stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' });
  return new RegExp(`${program}(?:/| version )(\\S+)`).exec(`${stdout ?? ''}${stderr ?? ''}`)?.[1];
}

/** Why a server can't run here; undefined when it can. */
export function whyMissing(program: string, debian = program): string | undefined {
  return versionOfProgram(program) === undefined ? `it is not installed (Debian: ${debian})` : undefined;
}
