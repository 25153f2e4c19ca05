import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import type { Peer } from './peer.ts';

const program = fileURLToPath(new URL('servers/fastify-static.ts', import.meta.url));

/** What a Fastify application serves files with otherwise. */
export const fastifyStatic: Peer = {
  name: '@fastify/static',
  missing: () => undefined,
  async start({ scope, region, pin }) {
    const server = await startServer(scope, pin([process.execPath, program, region.folder]));
    const about = `Fastify ${versionOf('fastify')} with @fastify/static ${versionOf('@fastify/static')}, no logging`;
    return { name: '@fastify/static', about, endpoint: () => ({ ...server, path: `/${region.name}` }) };
  },
};

function versionOf(packageName: string): string {
  const text = readFileSync(new URL(`../../node_modules/${packageName}/package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
