/** Two network namespaces of this kernel with a virtual cable between them. @module */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { promisify } from 'node:util';
import type { Scope } from './scope.ts';

const run = promisify(execFile);
const nft = '/usr/sbin/nft';
let made = 0;

/** One end. */
export type Namespace = {
  readonly name: string;
  readonly address: string;
  /** Runs a program in it and gives its output. */
  run(program: string, ...args: string[]): Promise<string>;
};

/** Why namespaces can't be had here, and what to do about it. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root: run the tests as root';
  try {
    accessSync(nft, constants.X_OK);
    return undefined;
  } catch {
    return `${nft} is not there: apt-get install nftables`;
  }
}

/** Makes both; they go when the test ends. */
export async function makeNamespaces(scope: Scope): Promise<{ server: Namespace; client: Namespace }> {
  const prefix = `pr${process.pid}-${++made}`;
  const server = await makeNamespace(scope, `${prefix}-s`, '10.231.7.1');
  const client = await makeNamespace(scope, `${prefix}-c`, '10.231.7.2');
  const cable = ['link', 'add', 'cable', 'netns', server.name, 'type', 'veth', 'peer', 'name', 'cable'];
  await run('ip', [...cable, 'netns', client.name]);
  for (const { name, address } of [server, client]) {
    await run('ip', ['-n', name, 'address', 'add', `${address}/24`, 'dev', 'cable']);
    for (const device of ['lo', 'cable']) await run('ip', ['-n', name, 'link', 'set', device, 'up']);
  }
  return { server, client };
}

async function makeNamespace(scope: Scope, name: string, address: string): Promise<Namespace> {
  await run('ip', ['netns', 'add', name]);
  scope.after(() => run('ip', ['netns', 'delete', name]));
  return {
    name,
    address,
    run: async (program, ...args) => (await run('ip', ['netns', 'exec', name, program, ...args])).stdout,
  };
}

/** Drops what comes into a namespace and `match`es (nftables), until `stopDropping`. */
export async function startDropping(namespace: Namespace, match: string): Promise<void> {
  const chain = '{ type filter hook input priority 0; }';
  await namespace.run(nft, 'add table ip loss');
  await namespace.run(nft, `add chain ip loss input ${chain}`);
  await namespace.run(nft, `add rule ip loss input ${match} drop`);
}

export async function stopDropping(namespace: Namespace): Promise<void> {
  await namespace.run(nft, 'delete table ip loss');
}
