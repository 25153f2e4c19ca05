import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../run/free-port.ts';
import { startSilentServer } from '../run/process.ts';
import type { Peer, PeerContext, RunningPeer } from './peer.ts';

/** nginx with sendfile, opening the file for each request, as it does unless told otherwise. */
export const nginx: Peer = {
  name: 'nginx',
  missing: whyMissing,
  start: (context) => start('nginx', 'sendfile', context, ''),
};

/** nginx that keeps the file open: it looks for changes once a minute only. */
export const nginxOpenFileCache: Peer = {
  name: 'nginx + open_file_cache',
  missing: whyMissing,
  start: (context) =>
    start('nginx + open_file_cache', 'sendfile, the file kept open', context, 'open_file_cache max=16;'),
};

/** The version in what `nginx -v` prints. */
export function nginxVersion(text: string): string | undefined {
  return /nginx\/(\S+)/.exec(text)?.[1];
}

/** What nginx is told. */
export type NginxSettings = {
  readonly root: string;
  /** Everything that nginx writes goes there. */
  readonly folder: string;
  readonly port: number;
  readonly asRoot: boolean;
  readonly workers: number;
  /** More lines. */
  readonly extra: string;
};

/** A whole configuration file. */
export function nginxConfig({ root, folder, port, asRoot, workers, extra }: NginxSettings): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
${asRoot ? 'user root;' : ''}
daemon off;
worker_processes ${workers};
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events {
  worker_connections 4096;
}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  default_type application/octet-stream;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${extra}
  server {
    listen 127.0.0.1:${port}${workers > 1 ? ' reuseport' : ''};
    root ${root};
  }
}
`;
}

async function start(kind: string, how: string, context: PeerContext, extra: string): Promise<RunningPeer> {
  const { scope, regions, pin, processors: workers = 1 } = context;
  const name = workers > 1 ? `${kind}, ${workers} workers` : kind;
  const folder = join(context.folder, name.replaceAll(/\W+/g, '-'));
  mkdirSync(folder);
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  const asRoot = process.getuid?.() === 0;
  writeFileSync(config, nginxConfig({ root: regions.folder, folder, port, asRoot, workers, extra }));
  const command = pin(['nginx', '-p', folder, '-e', join(folder, 'error.log'), '-c', config]);
  const server = await startSilentServer(scope, command, port);
  const running = workers > 1 ? `${workers} workers with a listening socket each` : 'one worker';
  const about = `nginx ${installedVersion()}, ${running}, ${how}, tcp_nopush, no access log`;
  return {
    name,
    about,
    endpoint: (size) => ({ ...server, path: `/${regions.at(size).name}`, region: regions.at(size) }),
  };
}

function whyMissing(): string | undefined {
  return installedVersion() === undefined ? 'it is not installed' : undefined;
}

// It prints to standard error.
function installedVersion(): string | undefined {
  return nginxVersion(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr ?? '');
}
