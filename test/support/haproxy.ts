/** HAProxy in front of a service, which it probes. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTool, type Tool } from './client-tools.ts';
import { freePort } from './free-port.ts';
import { until } from './poll.ts';
import type { Child } from './process.ts';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

/** One that runs. */
export type HaProxy = { readonly port: number; readonly child: Child };

/** What a probe has seen of a server: a code of HAProxy's such as `L7OK`, and the status of the answer. */
export type Probed = { readonly server: string; readonly check: string; readonly status: string };

/**
 * Starts one before a port of this machine.
 *
 * @param servers what each is probed by, by its name: lines of a `backend` section
 */
export async function startHaProxy(
  scope: Scope,
  tool: Tool,
  upstream: number,
  servers: Readonly<Record<string, readonly string[]>>,
): Promise<HaProxy> {
  const path = join(makeFolder(scope, 'tmpfs'), 'haproxy.cfg');
  const port = await freePort();
  writeFileSync(path, configuration(port, upstream, servers));
  // In the foreground, as one process.
  const child = startTool(scope, tool, ['-db', '-f', path]);
  await until(async () => (await probesOf({ port, child })).length > 0, 'HAProxy answers', child.stderr);
  return { port, child };
}

// A busy machine answers a probe late: that takes no server out.
function configuration(port: number, upstream: number, servers: Readonly<Record<string, readonly string[]>>): string {
  const backends = Object.entries(servers).map(([name, lines]) =>
    [`backend ${name}`, ...lines, `server ${name} 127.0.0.1:${upstream} check inter 100ms rise 1 fall 1000`].join(
      '\n  ',
    ),
  );
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  timeout check 20s
frontend all
  bind 127.0.0.1:${port}
  stats enable
  stats uri /haproxy
  default_backend ${Object.keys(servers)[0]}
${backends.join('\n')}
`;
}

/** What HAProxy thinks of each server; nothing while it does not answer. */
export async function probesOf({ port }: HaProxy): Promise<Probed[]> {
  const text = await fetch(`http://127.0.0.1:${port}/haproxy;csv`).then(
    (answer) => answer.text(),
    () => '',
  );
  const [heading = '', ...rows] = text.split('\n');
  const columns = heading.replace(/^# /, '').split(',');
  const tables = rows.map((row) => new Map(row.split(',').map((cell, at) => [columns[at], cell])));
  return tables
    .filter((cells) => cells.get('check_status'))
    .map((cells) => ({
      server: cells.get('svname') ?? '',
      check: cells.get('check_status') ?? '',
      status: cells.get('check_code') ?? '',
    }));
}
