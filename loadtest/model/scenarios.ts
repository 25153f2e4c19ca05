/** All scenarios: data, and nothing else. docs/loadtest.md shows how to add one. @module */
import type { RegionsAsked, Scenario } from './scenario.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

/** Servers that are not ours: beside our own other ways to answer, most scenarios would show nothing new. */
const others = ['nginx-cache', 'nginx', 'lighttpd', 'h2o', 'static', 'stream'];
const few = ['nginx-cache', 'lighttpd', 'h2o', 'static'];
const nginx = ['nginx-cache'];

/** Fast for every request: no scenario is to be slower beside nginx, nor to take more of the processor. */
const level = [{ requests: 1, cpu: 1 }];

/** What a scenario does not say: ranges of 4 KiB at random pages, on 16 connections that are kept, beside all others. */
const usual = { pattern: 'random', size: 4 * KiB, connections: 16, against: others, goals: level } as const;

/** More than can be written: what is not taken in time is left out. */
const most: Partial<Scenario> = { writes: 10_000, rate: 100, against: 'nobody', goals: [] };

const onDisk: RegionsAsked = { on: 'disk' };
const regions20: RegionsAsked = { count: 20, pick: 'turn' };
const tenThousand: RegionsAsked = { count: 10_000, pick: 'zipf' };
const cold: Partial<Scenario> = { cold: true, against: ['nginx-cache', 'nginx'], goals: [{ requests: 0.5 }] };
const hotFiles: RegionsAsked = { count: 1000, bytes: 256 * KiB, pick: 'zipf' };
const everyday: Partial<Scenario> = { size: 64 * KiB, fields: 'own', regions: hotFiles, log: true };
const twoProcessors: Partial<Scenario> = { processors: 2, connections: 64, against: ['nginx-cache', 'h2o'] };
const unix: Partial<Scenario> = { socket: 'unix', against: nginx, goals: [{ requests: 1.2, cpu: 0.8 }] };
const large = [{ requests: 1, cpu: 0.95 }];
const tensors = [...large, { over: 'raw', cpu: 1.25 }];
const idleGoals = [{ over: 'stream', idleKibibytes: 2 }, { idleNativeBytes: 512 }];
const idle: Partial<Scenario> = { idle: 10_000, against: ['nginx-cache', 'stream'], goals: idleGoals };

type Line = readonly [name: string, about: string, differs: Partial<Scenario>];

/** Ranges by their size. */
const sizes: readonly Line[] = [
  ['random-4k', 'pages of a database, a key-value store or a VM image', all(4 * KiB, [{ requests: 1.15, cpu: 0.85 }])],
  ['random-64k', 'chunks of an array store', all(64 * KiB, [{ requests: 1.25, cpu: 0.8 }])],
  ['random-256k', 'larger chunks', { size: 256 * KiB }],
  ['random-1m', 'large chunks', all(MiB, level)],
  ['random-16m', 'tensors of a model', all(16 * MiB, tensors)],
  ['whole-1g', 'one download of all of a large file', { ...whole(2), leastSeconds: 2, regions: { bytes: 2 ** 30 } }],
];

/** What requests carry, and what they are for. */
const requests: readonly Line[] = [
  ['own-field-4k', 'clients whose tracing gives each request an id', { fields: 'own' }],
  ['regions-20-4k', 'a few files, read alternately', { regions: regions20 }],
  ['regions-1000-4k', 'a thousand files, any of them next', { regions: { count: 1000 } }],
  ['regions-10000-4k', 'ten thousand files, of which few are hot', { regions: tenThousand }],
  ['cold', 'ten thousand files, each read once', { ...cold, regions: { count: 10_000, pick: 'turn' } }],
  ['revalidate', 'caches that ask whether what they have is right', { ...many(), conditional: true }],
  ['head', 'clients that look at a file before they read it', { ...many(), method: 'HEAD' }],
  ['tokens-4k', 'a hundred users with a bearer token each', { tokens: 100 }],
  ['log-4k', 'every server with its access log', { log: true }],
  ['log-64k', 'chunks, every server with its access log', { size: 64 * KiB, log: true }],
  ['log-ours-4k', 'pagerelay with its access log, nginx without', { log: ['pagerelay'], against: nginx, goals: [] }],
  ['everyday-64k', 'all at once: traced requests for a thousand files, few of them hot, with access logs', everyday],
];

/** How clients connect. */
const connections: readonly Line[] = [
  ['close-4k', 'clients that announce that they close (ab, scripts)', { kept: 1 }],
  ['kept-10-4k', 'clients with a short session', { kept: 10, against: few }],
  ['fresh-4k', 'a new connection each time, closed unannounced', { kept: 'dropped', against: few }],
  ['fresh-64k', 'the same for chunks', { kept: 'dropped', size: 64 * KiB, against: nginx }],
  ['http10-4k', 'HTTP/1.0: health checks and old proxies', { kept: 'HTTP/1.0', against: few }],
  ['unix-4k', 'a proxy on the same machine, over a unix socket', { ...unix, against: others }],
  ['unix-64k', 'the same for chunks', { ...unix, size: 64 * KiB }],
  ['unix-1m', 'the same for large chunks', { ...unix, size: MiB, goals: level }],
  ...[1, 256, 2000].flatMap((count): Line[] => [
    [`connections-${count}-4k`, 'pages on few or many connections', { connections: count, against: nginx }],
    [`connections-${count}-64k`, 'the same for chunks', { connections: count, size: 64 * KiB, against: nginx }],
  ]),
  ['two-processors-64k', 'two processors for the server', { ...twoProcessors, size: 64 * KiB }],
  ['idle', 'connections that have had an answer and do nothing', idle],
];

/** Latency where there is room. */
const rates: readonly Line[] = [
  ['half-rate-4k', "latency at half of nginx's peak", halfRate(4 * KiB)],
  ['half-rate-64k', 'the same for chunks', halfRate(64 * KiB)],
  ['half-rate-1m', 'the same for large chunks', halfRate(MiB)],
  ['rate-4k', 'latency at a steady rate that leaves room', { rate: 2000, goals: [] }],
  ['rate-1m', 'latency of large ranges at a steady rate', { size: MiB, rate: 200, goals: [] }],
];

/** How clients go through a region. */
const patterns: readonly Line[] = [
  ['sequential-1m', 'model weights, read through', { ...way('sequential', MiB, 8), against: 'all' }],
  ['zipf-16k', 'a hot set: few ranges are asked for most of the time', way('zipf', 16 * KiB, 16)],
  ['media-512k', 'viewers who watch for a while and then seek', way('media', 512 * KiB, 12)],
  ['parquet-128k', 'queries: the footer first, then column chunks', way('parquet', 128 * KiB, 8)],
  ['resume-4m', 'downloads that break off in the middle and go on from there', way('resume', 4 * MiB, 4)],
  ['slow-2m', 'readers that hold pages for a long time', { ...way('slow', 2 * MiB, 24), bytesPerSecond: 3 * MiB }],
  ['multi-range-8k', 'four ranges in one request', { ...way('multi-range', 8 * KiB, 8), against: nginx }],
  ['whole', 'the whole region, without a Range', { ...way('whole', 0, 2), against: 'all' }],
];

/** Beside a writer that overwrites in place. */
const writers: readonly Line[] = [
  ['writer-64k', 'readers of chunks beside a writer, on tmpfs', writing(64 * KiB)],
  ['writer-1m', 'readers of large chunks beside a writer, on tmpfs', writing(MiB)],
  ['writer-disk-64k', 'readers of chunks beside a writer, on a disk', { ...writing(64 * KiB), regions: onDisk }],
  ['writer-disk-1m', 'readers of large chunks beside a writer, on a disk', { ...writing(MiB), regions: onDisk }],
  ['writer-most', 'as many overwrites as the service takes, beside few readers', most],
  ['writer-disk-most', 'the same on a disk', { ...most, regions: onDisk }],
];

function all(size: number, goals: NonNullable<Scenario['goals']>): Partial<Scenario> {
  return { size, against: 'all', goals };
}

function whole(connections: number): Partial<Scenario> {
  return { pattern: 'whole', size: 0, connections, against: ['nginx-cache', 'static', 'raw'], goals: large };
}

function many(): Partial<Scenario> {
  return { pattern: 'whole', regions: regions20 };
}

function halfRate(size: number): Partial<Scenario> {
  return { size, rate: { share: 0.5 }, leastSeconds: 0.8, against: nginx, goals: [{ p99: 1 }] };
}

function way(pattern: Scenario['pattern'], size: number, connections: number): Partial<Scenario> {
  return { pattern, size, connections, goals: [] };
}

function writing(size: number): Partial<Scenario> {
  return { size, writes: 100, against: 'nobody', goals: [] };
}

/** Every scenario there is. */
export const scenarios = [...sizes, ...requests, ...connections, ...rates, ...patterns, ...writers].map(
  ([name, about, differs]): Scenario => ({ ...usual, ...differs, name, about }),
);
