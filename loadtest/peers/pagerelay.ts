import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import type { Peer, PeerContext, RunningPeer } from './peer.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** The service as `npm start` runs it. */
export const pagerelay: Peer = {
  name: 'pagerelay',
  missing: () => undefined,
  start: (context) => start('pagerelay', context, []),
};

/** The same service, made to copy: what the copy costs. */
export const pagerelayCopy: Peer = {
  name: 'pagerelay --engine copy',
  missing: () => undefined,
  start: (context) => start('pagerelay --engine copy', context, ['--engine', 'copy']),
};

/** The same service, open for writing. */
export function startWritable(context: PeerContext): Promise<RunningPeer> {
  return start('pagerelay --writable', context, ['--writable']);
}

async function start(name: string, context: PeerContext, flags: readonly string[]): Promise<RunningPeer> {
  const { scope, region, pin } = context;
  const options = ['--port', '0', '--dir', region.folder, '--log-level', 'warn', '--drain', '1', ...flags];
  const server = await startServer(scope, pin([process.execPath, cli, 'serve', ...options]));
  const path = `/regions/${region.name}`;
  const engines = await enginesInUse(`http://127.0.0.1:${server.port}`, path);
  if (engines.includes('stream')) throw new Error(`${name} runs without its native shim (npm rebuild makes it)`);
  const about = `the whole service, unbuilt, with its limits, checks and metrics; engine ${engines.join(', ')}`;
  return { name, about, endpoint: () => ({ ...server, path }) };
}

// Not what it means to use: what has carried bytes.
async function enginesInUse(origin: string, path: string): Promise<string[]> {
  const signal = AbortSignal.timeout(5000);
  const sent = await fetch(origin + path, { headers: { range: 'bytes=0-4095' }, signal });
  await sent.arrayBuffer();
  const metrics = await fetch(`${origin}/metrics`, { signal });
  return enginesThatSent(await metrics.text());
}

/** The engines that have sent anything, from the service's metrics. */
export function enginesThatSent(metrics: string): string[] {
  const samples = metrics.matchAll(/^pagerelay_sent_bytes_total\{engine="(\w+)"\} (\S+)$/gm);
  return [...samples].flatMap(([, engine, bytes]) => (engine && Number(bytes) > 0 ? [engine] : []));
}
