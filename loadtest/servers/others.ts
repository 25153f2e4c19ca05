/** Servers that are neither pagerelay nor nginx. @module */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { versionOfPackage, versionOfProgram, whyMissing } from '../measure/machine.ts';
import { compile } from '../run/process.ts';
import { regionNames } from '../run/tree.ts';
import { nodeFor, type Place, type Server } from './server.ts';

const programs = fileURLToPath(new URL('programs', import.meta.url));

/** A server that is not ours: it can't be written to, and has regions at the top. */
export function peer(
  word: string,
  name: string,
  lacks: readonly string[],
  more: Pick<Server, 'about' | 'command'> & Partial<Server>,
): Server {
  return {
    word,
    name,
    lacks: ['writing', ...lacks],
    path: (region) => `/${region}`,
    missing: () => undefined,
    ...more,
  };
}

const oneRange = ['several processors', 'several ranges in a request'];
const plainRanges = [...oneRange, 'suffix ranges', 'entity tags'];
const notParsed = ['HEAD', 'bearer tokens', 'several regions', 'ranges of several sizes', 'ranges by HTTP/1.0'];
const onlyOneAnswer = [...plainRanges, ...notParsed, 'an access log', 'unix sockets'];

/** Debian's lighttpd. */
export const lighttpd = peer('lighttpd', 'lighttpd', ['bearer tokens', 'several processors', 'ranges by HTTP/1.0'], {
  missing: () => whyMissing('lighttpd'),
  about: () => `lighttpd ${versionOfProgram('lighttpd')}, sendfile, one process`,
  command(place) {
    const { folder, tree, port, socketPath, log, logFile } = place;
    const bind = socketPath === undefined ? `"127.0.0.1"\nserver.port = ${port}` : `"${socketPath}"`;
    const config = join(folder, 'lighttpd.conf');
    writeFileSync(
      config,
      `server.bind = ${bind}
server.document-root = "${tree.folder}"
server.errorlog = "${folder}/logs/error"
server.modules = (${log ? '"mod_accesslog"' : ''})
${log ? `accesslog.filename = "${logFile}"` : ''}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.max-fds = 16384
server.max-connections = 8192
server.listen-backlog = 4096
mimetype.assign = ("" => "application/octet-stream")
`,
    );
    return ['lighttpd', '-D', '-f', config];
  },
});

/** Debian's h2o. */
export const h2o = peer('h2o', 'h2o', ['bearer tokens'], {
  missing: () => whyMissing('h2o'),
  about: () => `h2o ${versionOfProgram('h2o')}, one thread for a processor`,
  command(place) {
    const { folder, tree, port, socketPath, processors, log, logFile } = place;
    const listen = socketPath === undefined ? { host: '127.0.0.1', port } : { type: 'unix', port: socketPath };
    const config = {
      listen,
      'num-threads': processors,
      'max-connections': 12_000,
      'pid-file': join(folder, 'h2o.pid'),
      'error-log': join(folder, 'logs', 'error'),
      ...(process.getuid?.() === 0 && { user: 'root' }),
      ...(log && { 'access-log': logFile }),
      hosts: { default: { paths: { '/': { 'file.dir': tree.folder } } } },
    };
    const file = join(folder, 'h2o.conf');
    writeFileSync(file, JSON.stringify(config)); // YAML holds JSON.
    return ['h2o', '-m', 'worker', '-c', file];
  },
});

/** What a Fastify application serves files with otherwise. */
export const fastifyStatic = peer('static', '@fastify/static', oneRange, {
  isNode: true,
  about: () => `Fastify ${versionOfPackage('fastify')} with @fastify/static ${versionOfPackage('@fastify/static')}`,
  command: (place) => node('fastify-static.ts', place),
});

/** Node's own HTTP server and file streams, with nothing around them. */
export const nodeStream = peer('stream', 'node:http + createReadStream', plainRanges, {
  isNode: true,
  about: () => `Node ${process.version} alone: no router, no validators, each file's size read once`,
  command: (place) => node('node-stream.ts', place),
});

/** The system calls alone: the floor under everybody. */
export const rawSendfile = peer('raw', 'raw sendfile loop', onlyOneAnswer, {
  isBlind: true,
  path: () => '/',
  missing: () => (spawnSync(process.env.CC ?? 'cc', ['--version']).error ? 'there is no C compiler' : undefined),
  about: () => 'C: epoll, a fixed head, sendfile; reads no request, so no HTTP server can be below it',
  async command({ folder, tree, port, size }) {
    const program = await compile(join(folder, 'raw-sendfile'), join(programs, 'raw-sendfile.c'));
    const region = join(tree.folder, regionNames.replace('*', '00000'));
    return [program, region, String(Math.min(size || tree.regionBytes, tree.regionBytes)), String(port)];
  },
});

function node(program: string, place: Place): [string, ...string[]] {
  const { tree, port, socketPath, log, logFile, tokens } = place;
  const told = { folder: tree.folder, port, socketPath, logFile: log ? logFile : undefined, tokens };
  return [...nodeFor(place), join(programs, program), JSON.stringify(told)];
}
