import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOfProgram, whyMissing } from '../measure/machine.ts';
import { peer } from './others.ts';
import type { Place, Server } from './server.ts';

/** nginx with sendfile, opening the file for each request, as it does unless told otherwise. */
export const nginx = nginxAs('nginx', 'nginx', () => '');

/** nginx that keeps files open and looks for changes once a second: what pagerelay is to be faster than. */
export const nginxCached = nginxAs('nginx-cache', 'nginx + open_file_cache', ({ tree }) => {
  return `open_file_cache max=${2 * tree.count + 16} inactive=1h; open_file_cache_valid 1s;`;
});

function nginxAs(word: string, name: string, cache: (place: Place) => string): Server {
  return peer(word, name, [], {
    missing: () => whyMissing('nginx', 'nginx-light'),
    about: () => `nginx ${versionOfProgram('nginx')}, sendfile, tcp_nopush, one worker for a processor`,
    command(place) {
      const config = join(place.folder, 'nginx.conf');
      writeFileSync(config, nginxConfig(place, cache(place), process.getuid?.() === 0));
      return ['nginx', '-p', place.folder, '-e', join(place.folder, 'logs', 'error'), '-c', config];
    },
  });
}

/** A whole configuration file. */
export function nginxConfig(place: Place, cache: string, asRoot: boolean): string {
  const { folder, port, socketPath, processors, tokens, log, logFile, tree } = place;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const known = tokens.map((token) => `"Bearer ${token}" 1;`).join(' ');
  return `
${asRoot ? 'user root;' : ''}
daemon off;
worker_processes ${processors};
pid ${folder}/nginx.pid;
error_log ${folder}/logs/error warn;
events {
  worker_connections 12000;
}
http {
  access_log ${log ? `${logFile} combined` : 'off'};
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  default_type application/octet-stream;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${cache}
  ${known === '' ? '' : `map $http_authorization $known { default 0; ${known} }`}
  server {
    listen ${socketPath === undefined ? `127.0.0.1:${port}${processors > 1 ? ' reuseport' : ''}` : `unix:${socketPath}`};
    root ${tree.folder};
    ${known === '' ? '' : 'if ($known = 0) { return 401; }'}
  }
}
`;
}
