import type { Command } from '../run/process.ts';
import { peer } from './others.ts';
import type { Place, Server } from './server.ts';

/** What the harness can't tell a server that it knows nothing of. */
const lacks = ['an access log', 'bearer tokens', 'unix sockets', 'several processors'];

/** Some server by the shell command that starts it: `{dir}` is the folder that it is to serve, `{port}` where. */
export function serverBy(name: string, command: string): Server {
  return peer(name, name, lacks, {
    isGiven: true,
    about: () => command,
    command: ({ tree, port }: Place): Command => [
      ...(['sh', '-c'] as const),
      command.replaceAll('{dir}', tree.folder).replaceAll('{port}', String(port)),
    ],
  });
}
