import type { Engine } from '../../src/relay/relay.ts';

// On file systems with DAX, where test/pmem runs tests in a slow machine, sendfile copies.
const onDax = process.env.PAGERELAY_TEST_ON_DAX !== undefined;

/** Every engine that a service can be told to use: one behaviour table runs over them all. */
export const everyEngine: readonly Engine[] = onDax
  ? ['sendfile', 'splice', 'copy']
  : ['sendfile', 'splice', 'zerocopy', 'copy', 'stream'];

/** Those that send the pages themselves: what is changed while it is on its way changes what the reader gets. */
export const copyFreeEngines: readonly Engine[] = onDax ? ['splice'] : ['sendfile', 'splice'];

/** Whose pages are held until they are read, where a test needs no more than one. */
export const holdingEngine: Engine = onDax ? 'splice' : 'sendfile';

/** Those after which the pages are free at once; zerocopy on loopback alone, where the kernel copies on delivery. */
export const copyingEngines: readonly Engine[] = [
  ...(onDax ? ['sendfile' as const] : []),
  'copy',
  'stream',
  'zerocopy',
];
