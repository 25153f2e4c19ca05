/** Clients whose sockets are of MPTCP, which Node can not make. @module */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from './poll.ts';
import { start } from './process.ts';
import type { Scope } from './scope.ts';

const program = fileURLToPath(new URL('./mptcp-client.py', import.meta.url));

/** What such a client got. */
export type Got = { readonly status: number; readonly sha256: string };

/** Why there is no MPTCP here; undefined where there is. */
export function whyNoMptcp(): string | undefined {
  const { status, stderr } = spawnSync('python3', ['-c', 'import socket; socket.socket(2, 1, 262)']);
  return status === 0 ? undefined : `no socket of MPTCP (CONFIG_MPTCP, net.mptcp.enabled, python3): ${stderr}`;
}

/** A client that has asked for a range, and reads when it is told to. */
export async function mptcpReader(scope: Scope, port: number, path: string, range: string) {
  const child = start(scope, 'python3', ['-I', program, String(port), path, range]);
  await until(() => child.stdout() === 'asked\n', 'it has asked', child.stderr);
  return {
    async read(): Promise<Got> {
      child.process.stdin.write('\n');
      assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
      const [, status, sha256 = ''] = /^asked\n(\d+) (\w+)\n$/.exec(child.stdout()) ?? [];
      return { status: Number(status), sha256 };
    },
  };
}
