import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import { pathOf } from '../run/region-file.ts';
import type { Peer } from './peer.ts';

const program = fileURLToPath(new URL('servers/node-stream.ts', import.meta.url));

/** Node's own HTTP server and file streams, with nothing around them. */
export const nodeStream: Peer = {
  name: 'node:http + createReadStream',
  missing: () => undefined,
  async start({ scope, region, pin }) {
    const server = await startServer(scope, pin([process.execPath, program, pathOf(region)]));
    const about = `Node ${process.version} alone: no router, no validators, the file's size read once`;
    return { name: 'node:http + createReadStream', about, endpoint: () => ({ ...server, path: '/' }) };
  },
};
