import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import type { Peer } from './peer.ts';

const program = fileURLToPath(new URL('servers/node-stream.ts', import.meta.url));

const name = 'node:http + createReadStream';

/** Node's own HTTP server and file streams, with nothing around them. */
export const nodeStream: Peer = {
  name,
  missing: () => undefined,
  async start({ scope, regions, pin, nodeFlags = [] }) {
    const server = await startServer(scope, pin([process.execPath, ...nodeFlags, program, regions.folder]));
    const about = `Node ${process.version} alone: no router, no validators, each file's size read once`;
    return {
      name,
      about,
      endpoint: (size) => ({ ...server, path: `/${regions.at(size).name}`, region: regions.at(size) }),
    };
  },
};
