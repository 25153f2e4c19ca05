/**
 * Runs before any other module is loaded. It may load nothing that loads `node:util`, which asks for `process.stderr`.
 *
 * @module
 */
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';

// Keeps what Node compiles for the next start, in the package's own folder: others could write to one in /tmp.
const compiled = new URL('../../node_modules/.cache/pagerelay', import.meta.url);
process.getBuiltinModule('node:module').enableCompileCache(fileURLToPath(compiled));

// Node's own streams would set O_NONBLOCK on a pipe that other processes share, wait for its reader, and throw its
// errors. These only collect what command/streams.ts writes.
for (const [name, fd] of Object.entries({ stdout: 1, stderr: 2 })) {
  const stream = Object.assign(new PassThrough(), { fd });
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
}

// By default SIGUSR1 opens Node's debugger on a port, and the others end the process. SIGHUP has nothing to do yet.
for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) process.on(signal, () => {});
