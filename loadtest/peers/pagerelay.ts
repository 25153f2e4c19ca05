import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import type { Peer, PeerContext, RunningPeer } from './peer.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** Where `--copy-below` is tried. */
export const copyBelowBytes = 16_384;

/** Beyond that, what tells variants apart is lost in the time that one response takes. */
const largestCompared = 2 ** 24;

/** The service as `npm start` runs it. */
export const pagerelay = variant();

/** Made to copy: what the copy costs. */
export const pagerelayCopy: Peer = { ...variant('--engine', 'copy'), largest: largestCompared };

/** Every request is answered by JavaScript. */
export const pagerelayNoExpress: Peer = { ...variant('--no-express'), largest: largestCompared };

/** Small ranges are copied. */
export const pagerelayCopyBelow: Peer = { ...variant('--copy-below', String(copyBelowBytes)), largest: copyBelowBytes };

/** The same service, open for writing. */
export function startWritable(context: PeerContext): Promise<RunningPeer> {
  return start(context, ['--writable']);
}

/** The service with some flags. */
export function variant(...flags: readonly string[]): Peer {
  return {
    name: nameOf(flags),
    missing: () => unknownFlag(flags),
    start: (context) => start(context, flags),
  };
}

function nameOf(flags: readonly string[]): string {
  return ['pagerelay', ...flags].join(' ');
}

function unknownFlag(flags: readonly string[]): string | undefined {
  if (flags.length === 0) return undefined;
  const { stdout } = spawnSync(process.execPath, [cli, 'serve', '--help'], { encoding: 'utf8' });
  return flagMissingFrom(stdout, flags);
}

/** Why the service can't be started with some flags, from what it prints on how to use it. */
export function flagMissingFrom(usage: string, flags: readonly string[]): string | undefined {
  const known = new Set(usage.match(/--[\w-]+/g));
  const unknown = flags.find((flag) => flag.startsWith('--') && !known.has(flag));
  return unknown === undefined ? undefined : `this version does not know ${unknown}`;
}

async function start(context: PeerContext, flags: readonly string[]): Promise<RunningPeer> {
  const { scope, regions, pin, nodeFlags = [], processors = 1 } = context;
  const asked = processors > 1 ? [...flags, '--lanes', String(processors)] : flags;
  const name = nameOf(asked);
  const where = regions.isBuiltIn ? [] : ['--dir', regions.folder];
  const options = ['--port', '0', ...where, '--log-level', 'warn', '--drain', '1', ...asked];
  const server = await startServer(scope, pin([process.execPath, ...nodeFlags, cli, 'serve', ...options]));
  const pathOf = (size: number) => `/regions/${regions.at(size).name}`;
  const engines = await enginesInUse(`http://127.0.0.1:${server.port}`, pathOf(0));
  if (engines.includes('stream')) throw new Error(`${name} runs without its native shim (npm rebuild makes it)`);
  const about = `the whole service, unbuilt, with its limits, checks and metrics, no access log; engine ${engines.join(', ')}`;
  return { name, about, endpoint: (size) => ({ ...server, path: pathOf(size), region: regions.at(size) }) };
}

// Not what it means to use: what has carried bytes.
async function enginesInUse(origin: string, path: string): Promise<string[]> {
  const signal = AbortSignal.timeout(5000);
  // More than --copy-below copies: that has a row of its own to show itself in.
  const sent = await fetch(origin + path, { headers: { range: `bytes=0-${2 * copyBelowBytes}` }, signal });
  await sent.arrayBuffer();
  return enginesThatSent(await metricsOf(origin));
}

/** What a service tells of itself. */
export async function metricsOf(origin: string): Promise<string> {
  const answer = await fetch(`${origin}/metrics`, { signal: AbortSignal.timeout(5000) });
  return answer.text();
}

/** The engines that have sent anything, from the service's metrics. */
export function enginesThatSent(metrics: string): string[] {
  const samples = metrics.matchAll(/^pagerelay_sent_bytes_total\{engine="(\w+)"\} (\S+)$/gm);
  return [...samples].flatMap(([, engine, bytes]) => (engine && Number(bytes) > 0 ? [engine] : []));
}

/** Bytes that the native shim has set aside, from the service's metrics. @throws Error when they don't tell */
export function nativeBytes(metrics: string): number {
  const bytes = /^pagerelay_native_allocated_bytes (\S+)$/m.exec(metrics)?.[1];
  if (bytes === undefined) throw new Error('the metrics lack pagerelay_native_allocated_bytes');
  return Number(bytes);
}
