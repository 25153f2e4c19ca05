import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import type { Peer } from './peer.ts';

const program = fileURLToPath(new URL('servers/fastify-static.ts', import.meta.url));

/** What a Fastify application serves files with otherwise. */
export const fastifyStatic: Peer = {
  name: '@fastify/static',
  missing: () => undefined,
  async start({ scope, regions, pin, nodeFlags = [] }) {
    const server = await startServer(scope, pin([process.execPath, ...nodeFlags, program, regions.folder]));
    const about = `Fastify ${versionOf('fastify')} with @fastify/static ${versionOf('@fastify/static')}, no logging`;
    return {
      name: '@fastify/static',
      about,
      endpoint: (size) => ({ ...server, path: `/${regions.at(size).name}`, region: regions.at(size) }),
    };
  },
};

function versionOf(packageName: string): string {
  const text = readFileSync(new URL(`../../node_modules/${packageName}/package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
