/**
 * What has to be so before any other module is loaded. This one may import nothing that loads `node:util`, which asks for
 * `process.stderr`.
 *
 * @module
 */
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';

// What Node compiles, and takes the types out of, stays for the next start. It stays in the package's own folder, for it is
// run as the package is: elsewhere, as in /tmp, others could write it. Where this process can't write, each start compiles.
const compiled = new URL('../../node_modules/.cache/pagerelay', import.meta.url);
process.getBuiltinModule('node:module').enableCompileCache(fileURLToPath(compiled));

// Whoever asks Node for these, as its own modules do, has it set O_NONBLOCK on a pipe that other processes share, wait for
// its reader, and throw what it fails with. Here they only collect what command/streams.ts takes further.
for (const [name, fd] of Object.entries({ stdout: 1, stderr: 2 })) {
  const stream = Object.assign(new PassThrough(), { fd });
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
}

// By default SIGUSR1 has Node open its debugger on a port, and the others end the process. SIGHUP asks for what will be done
// by then anyway: what comes from files is read.
for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) process.on(signal, () => {});
