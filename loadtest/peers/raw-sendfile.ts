import { fileURLToPath } from 'node:url';
import { compile } from '../run/compile.ts';
import { type Server, startServer } from '../run/process.ts';
import { pathOf } from '../run/region-file.ts';
import type { Peer } from './peer.ts';

const source = fileURLToPath(new URL('servers/raw-sendfile.c', import.meta.url));
const name = 'raw sendfile loop';

/** The system calls alone: the floor under everybody. It reads no request, so each size has a server of its own. */
export const rawSendfile: Peer = {
  name,
  missing: () => undefined,
  async start({ scope, regions, sizes, folder, pin }) {
    const program = await compile(folder, 'raw-sendfile', [source]);
    const servers = new Map<number, Server>();
    for (const size of sizes) {
      servers.set(size, await startServer(scope, pin([program, pathOf(regions.at(size)), String(size)])));
    }
    const endpoint = (size: number) => {
      const server = servers.get(size);
      if (!server) throw new Error(`no server for ranges of ${size} bytes`);
      return { ...server, path: '/', region: regions.at(size) };
    };
    return {
      name,
      about: 'C: epoll, a fixed head, sendfile; reads no request, so no HTTP server can be below it',
      endpoint,
      unverifiable: 'it reads no request, and sends from where it likes',
    };
  },
};
