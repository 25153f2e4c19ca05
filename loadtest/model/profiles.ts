/** Which scenarios are run together, for how long, and by whom: data, and nothing else. @module */
import type { Profile } from './scenario.ts';

const words = (text: string) => text.split(' ');
const main = words('random-4k random-64k sequential-1m');
const ways = words('zipf-16k media-512k parquet-128k resume-4m slow-2m multi-range-8k whole');
const kinds = words('own-field-4k regions-20-4k regions-1000-4k regions-10000-4k revalidate head tokens-4k');
const logs = words('log-4k log-64k log-ours-4k everyday-64k');
const closing = words('close-4k kept-10-4k fresh-4k fresh-64k http10-4k unix-4k unix-64k unix-1m');
const many = [1, 256, 2000].flatMap((count) => [`connections-${count}-4k`, `connections-${count}-64k`]);
const halves = words('half-rate-4k half-rate-64k half-rate-1m');
const writers = words('writer-64k writer-1m');
const moreWriters = words('writer-disk-64k writer-disk-1m writer-most writer-disk-most');
const rates = words('rate-4k rate-1m');

const usual = words('nginx-cache static stream copy no-express');
const full = [...main, 'random-256k', 'connections-256-4k', ...ways, 'close-4k', ...kinds, ...rates, ...writers];
const checking = { clients: 'checking', warmUpSeconds: 0 } as const;
const fast = { clients: 'fast', warmUpSeconds: 0.1 } as const;

/** What `--profile` takes. */
export const profiles: readonly Profile[] = [
  {
    name: 'quick',
    about: 'a first look, under a minute',
    // So short that all of it ends within a minute beside other work, too: on two processors 38 s at a load average of 5,
    // 56 s at 17.
    ...{ ...checking, seconds: 0.3, rounds: 2, roundsAlone: 1, servers: usual, compared: main },
    scenarios: [...main, ...ways, 'close-4k', 'own-field-4k', 'rate-4k', 'writer-64k'],
  },
  {
    name: 'full',
    about: 'every pattern and kind of request beside other servers, every body checked: half an hour',
    ...{ ...checking, seconds: 1.5, rounds: 3, roundsAlone: 2, servers: usual, scenarios: full },
  },
  {
    name: 'soak',
    about: 'an hour of everything, over and over, on the service alone',
    ...{ ...checking, seconds: 10, rounds: 1, roundsAlone: 1, servers: [], scenarios: full, repeatForSeconds: 3600 },
  },
  {
    name: 'ci',
    about: 'what CI compares with the stored baseline: a minute',
    ...{ ...checking, seconds: 0.5, rounds: 5, roundsAlone: 1, servers: ['static'] },
    scenarios: [...main, 'own-field-4k', 'regions-1000-4k', 'close-4k'],
  },
  {
    name: 'bench',
    about: 'what npm run bench runs and docs/benchmarks.md is written of: by the fastest client, a quarter of an hour',
    ...{ ...fast, seconds: 0.4, rounds: 5, roundsAlone: 5, document: 'docs/benchmarks.md' },
    servers: words('nginx-cache nginx lighttpd h2o static stream raw copy no-express copy-below'),
    scenarios: [
      ...words('random-4k random-64k random-1m random-16m whole-1g'),
      ...[...kinds, 'cold', ...logs, ...closing, ...many],
      ...[...halves, 'two-processors-64k', ...writers, ...moreWriters, 'idle'],
    ],
  },
  {
    name: 'short',
    about: "the bench's rows beside nginx alone: three minutes, to see whether a change changes anything",
    ...{ ...fast, seconds: 0.25, rounds: 3, roundsAlone: 3, servers: ['nginx-cache'] },
    scenarios: [
      ...[...words('random-4k random-64k random-1m'), ...kinds, ...logs, ...closing],
      ...words('connections-1-4k connections-256-4k half-rate-4k two-processors-64k writer-64k'),
    ],
  },
];
