import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
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

/** A whole configuration file. Everything that nginx writes goes into `folder`. */
export function nginxConfig(root: string, folder: string, port: number, asRoot: boolean, extra: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
${asRoot ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events {
  worker_connections 1024;
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
    listen 127.0.0.1:${port};
    root ${root};
  }
}
`;
}

async function start(name: string, how: string, context: PeerContext, extra: string): Promise<RunningPeer> {
  const { scope, region, pin } = context;
  const folder = join(context.folder, name.replaceAll(/\W+/g, '-'));
  mkdirSync(folder);
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, nginxConfig(region.folder, folder, port, process.getuid?.() === 0, extra));
  const command = pin(['nginx', '-p', folder, '-e', join(folder, 'error.log'), '-c', config]);
  const server = await startSilentServer(scope, command, port);
  const about = `nginx ${installedVersion()}, one worker, ${how}, no access log`;
  return { name, about, endpoint: () => ({ ...server, path: `/${region.name}` }) };
}

function whyMissing(): string | undefined {
  return installedVersion() === undefined ? 'it is not installed' : undefined;
}

// It prints to standard error.
function installedVersion(): string | undefined {
  return nginxVersion(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr ?? '');
}

// nginx takes no port 0.
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
