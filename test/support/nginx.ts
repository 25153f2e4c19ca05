/** nginx in front of a service: it fetches slices by Range, keeps them, and answers from them. @module */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTool, type Tool } from './client-tools.ts';
import { freePort } from './free-port.ts';
import { until } from './poll.ts';
import type { Child } from './process.ts';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

/** One that answers. */
export type Nginx = { readonly port: number; readonly child: Child };

/**
 * Starts one before a port of this machine, with nothing of its own outside of a temporary folder.
 *
 * @param keeps `as-told`: what Cache-Control allows, which by default is nothing; `for-an-hour`: whatever that says
 */
export async function startNginx(
  scope: Scope,
  tool: Tool,
  upstream: number,
  keeps: 'as-told' | 'for-an-hour',
): Promise<Nginx> {
  const prefix = makeFolder(scope, 'tmpfs');
  const port = await freePort();
  const child = startTool(scope, tool, configure(prefix, configuration(prefix, port, upstream, keeps)));
  await until(() => answers(port), 'nginx answers', child.stderr);
  return { port, child };
}

/** Stops it. */
export async function stopNginx({ child }: Nginx): Promise<void> {
  child.process.kill('SIGTERM');
  await child.exited;
}

/** Writes a configuration into a folder. Gives the arguments of an nginx that has nothing outside of that. */
export function configure(prefix: string, text: string): string[] {
  mkdirSync(join(prefix, 'temporary'));
  writeFileSync(join(prefix, 'nginx.conf'), text);
  return ['-e', 'stderr', '-p', prefix, '-c', join(prefix, 'nginx.conf')];
}

/** All of a configuration but what stands in `http`. One process, so that nothing outlives it when it is killed. */
export function configurationOf(prefix: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `${what}_temp_path ${prefix}/temporary/${what};`,
  );
  return `
daemon off;
master_process off;
pid ${prefix}/pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  ${http}
}
`;
}

function configuration(prefix: string, port: number, upstream: number, keeps: 'as-told' | 'for-an-hour'): string {
  return configurationOf(
    prefix,
    `proxy_cache_path ${prefix}/slices keys_zone=slices:1m use_temp_path=off;
  upstream pagerelay {
    server 127.0.0.1:${upstream};
    keepalive 4;
  }
  server {
    listen 127.0.0.1:${port};
    location = /ready { return 204; }
    location / {
      slice 1m;
      proxy_pass http://pagerelay;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Range $slice_range;
      proxy_cache slices;
      proxy_cache_key $uri$slice_range;
      proxy_cache_valid 200 206 1h;
      ${keeps === 'for-an-hour' ? 'proxy_ignore_headers Cache-Control;' : ''}
    }
  }`,
  );
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/ready`)).status === 204;
  } catch {
    return false;
  }
}
