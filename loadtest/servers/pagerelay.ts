import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFor, type Place, type Server } from './server.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** Beyond that, what tells variants apart is lost in the time that one response takes. */
const largestCompared = 2 ** 24;
const copyBelowBytes = 16_384;

/** The service as `npm start` runs it. */
export const pagerelay = variant('pagerelay', []);

/** Made to copy: what the copy costs. */
export const pagerelayCopy = variant('copy', ['--engine', 'copy'], largestCompared);

/** Every request is answered by JavaScript. */
export const pagerelayNoExpress = variant('no-express', ['--no-express'], largestCompared);

/** Small ranges are copied. */
export const pagerelayCopyBelow = variant('copy-below', ['--copy-below', String(copyBelowBytes)], copyBelowBytes);

/** The service with some flags. */
export function variant(word: string, flags: readonly string[], largest = Number.POSITIVE_INFINITY): Server {
  return {
    word,
    name: ['pagerelay', ...flags].join(' '),
    lacks: [],
    largest,
    isOurs: true,
    isNode: true,
    path: (region) => `/regions/${region}`,
    missing: () => undefined,
    about: () => 'the whole service, unbuilt, with its limits, checks and metrics',
    command: (place) => [...nodeFor(place), cli, 'serve', ...flagsFor(place), ...flags],
  };
}

// Its log goes to its standard output, and so to a file; with the log on, it is as verbose as it is by itself.
function flagsFor({ tree, port, socketPath, folder, log, tokens, writable, processors }: Place): string[] {
  const tokenFile = join(folder, 'tokens');
  if (tokens.length > 0) writeFileSync(tokenFile, `${tokens.join('\n')}\n`);
  return [
    ...['--dir', tree.folder, '--drain', '1'],
    ...(socketPath === undefined ? ['--port', String(port)] : ['--host', `unix:${socketPath}`]),
    ...(log ? [] : ['--log-level', 'warn']),
    ...(tokens.length > 0 ? ['--read-token-file', tokenFile] : []),
    ...(writable ? ['--writable'] : []),
    ...(processors > 1 ? ['--lanes', String(processors)] : []),
  ];
}
