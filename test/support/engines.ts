import type { Engine } from '../../src/relay/relay.ts';

/** Every engine that a service can be told to use: one behaviour table runs over them all. */
export const everyEngine: readonly Engine[] = ['sendfile', 'splice', 'zerocopy', 'copy', 'stream'];

/** Those that send the pages themselves: what is changed while it is on its way changes what the reader gets. */
export const copyFreeEngines: readonly Engine[] = ['sendfile', 'splice'];

/** Those after which the pages are free at once; zerocopy on loopback alone, where the kernel copies on delivery. */
export const copyingEngines: readonly Engine[] = ['copy', 'stream', 'zerocopy'];
