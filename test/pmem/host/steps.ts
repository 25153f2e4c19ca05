/** What a guest does: which tests run there, on which file system, and how long they may take. @module */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { repository, type Step } from './guest.ts';
import type { Programs } from './programs.ts';

/** What steps need to know. `folder` is the guest's for results. */
export type Parts = { readonly programs: Programs; readonly nativeTests: readonly string[] };

const share = '/run/share';
const [ext4, xfs] = ['/tmp/pmem-ext4', '/tmp/pmem-xfs'];
const device = '$(ls /dev/dax*)';
const attribute = (name: string) => `$(cat /sys/bus/dax/devices/dax*/${name})`;

/** Of test/integration, what is about pages and files: it runs each time. */
const brief = {
  'ext4-dax': [
    'broken-off',
    'held-until-done',
    'no-copy',
    'truncation',
    'validators',
    'ways-out',
    'writing/delete',
    'writing/leases',
    'writing/other-names',
    'writing/overwrite',
    'writing/own-moves',
    'writing/put',
    'writing/replaced-in-flight',
    'writing/resize',
  ],
  'xfs-dax': ['no-copy', 'held-until-done', 'writing/put', 'writing/replaced-in-flight', 'writing/resize'],
} as const;

/** What else runs with the folders of its regions on DAX: with `--whole`, for it takes five minutes more. */
const more = {
  'ext4-dax': [
    'connections',
    'digests',
    'lists',
    'names',
    'range-table',
    'replaced-files',
    'shutdown',
    'zerocopy',
    'writing/behind-readers',
    'writing/external',
    'writing/faults',
    'writing/guards',
    'writing/lasting-faults',
    'writing/lease-process',
    'writing/plugin',
    'writing/put-body',
    'writing/recovery',
    'writing/start',
    'writing/two-services',
    'writing/validators',
  ],
  'xfs-dax': [],
} as const;

/** The others, and why. */
const leftOut: Readonly<Record<string, string>> = {
  'absolute-links': 'is about how paths are resolved',
  'any-name': 'is about how names are written and read',
  dotfiles: 'is about which names are served',
  'given-fields': 'is about fields of answers',
  hosts: 'is about who may ask',
  large: 'has regions of 2 TiB and more, which are never mapped; on DAX they are',
  'lingering-close': 'is about how a connection ends',
  'list-holds': 'is about lists of what is held, whatever holds the pages',
  log: 'starts the command line by the dozen, for what it logs',
  'misbehaving-clients': 'is about what is read from a connection',
  'odd-times': 'is about times of files',
  restart: 'starts the command line again and again, for which the guest takes too long',
  signals: 'is about the command line',
  sparse: 'is about file systems on which a hole can be filled by reading it',
  'tree-moved': 'is about the path of the tree',
  'upper-layers': 'is about peers; it wants MPTCP, which the guest has not loaded',
  'writing/durability': 'is about when the page cache is flushed',
  'writing/large-folios': 'is about folios of tmpfs and the page cache',
  'writing/direct': 'is about the page cache',
  'writing/unsent': 'is about bytes that are kept in memory, whatever holds the pages',
  'access-log': 'starts the command line nine times, for what it logs; the guest takes a minute for that',
  'any-range': 'asks for thousands of ranges, for how they are read; the guest takes more than a minute for that',
  'kept-versions': 'has twenty tests of many requests each, for which the guest takes six minutes',
  'version-url': 'is about which version an address names, whatever holds the pages',
  'unix-socket': 'is about where a service listens',
  listeners: 'is about where a service listens',
  proxies: 'is about who a client is',
  cors: 'is about fields that are the same on every backing',
  'sending-limits': 'is about how much is sent, whatever holds the pages',
  'max-connections': 'is about how many connections there are',
  'limits-of-requests': 'is about requests that are refused before a region is looked for',
  'limits-of-addresses': 'is about how many connections and requests there are',
  'lanes-accept': 'is about who accepts a connection',
  bytes: 'has a region of 1 GiB, and an NVDIMM has half of that',
  cli: 'starts the command line by the dozen, for what it prints',
  'lanes-ahead': 'is about what lanes are told of before it is asked for',
  'lanes-answers': 'is about what a lane answers, whatever holds the pages',
  'lanes-changes': 'is about when lanes hear of a change; writing.guest.ts changes what lanes send on DAX',
  'lanes-clients': 'is about clients that ask much',
  'lanes-differential': 'asks for thousands of streams of requests',
  'lanes-guards': 'is about who may read',
  'lanes-hand-over': 'is about what is left in a connection',
  'lanes-observed': 'is about what is counted and logged',
  'lanes-smuggling': 'is about where a request begins',
  'lanes-unix': 'is about unix sockets, whatever holds the pages',
  'many-scrapes': 'is about metrics',
  'last-response': 'is about how a connection ends',
  'engine-choice': 'is about tmpfs and the page cache; serving.guest.ts tells what is chosen on DAX',
  'http-details': 'is about what is read from a connection before any region is looked for',
  faults: 'is about system calls that fail, for the whole process that all files share there',
  hugetlb: 'is about huge pages; serving.guest.ts has them',
  namespaces: 'wants modules of nftables and bridges, which the guest has not loaded',
  workers: 'starts three services in threads, for which the guest takes longer than the test may',
};

/** Files of test/integration of which nobody has said whether they can run on DAX. */
export function unjudgedFiles(): string[] {
  const folder = join(repository, 'test', 'integration');
  const files = globSync('**/*.test.ts', { cwd: folder }).map((file) => file.slice(0, -'.test.ts'.length));
  const judged = new Set<string>(
    [brief, more].flatMap((lists) => Object.values(lists).flat()).concat(Object.keys(leftOut)),
  );
  return files.filter((file) => !judged.has(file)).sort();
}

/** NVDIMMs become file systems and a device. */
export const makeDax: Step = {
  name: 'make-dax',
  seconds: 60,
  command: `uname -a; sh test/pmem/guest/make-dax.sh ${ext4} ${xfs}; ndctl list -vN`,
};

/** The core, on each kind of DAX and on what the kernel has besides. */
export function nativeSteps({ programs, nativeTests }: Parts): Step[] {
  const own = [
    { name: 'native-ext4-dax', seconds: 90, command: `${programs.dax} ${ext4}` },
    { name: 'native-xfs-dax', seconds: 90, command: `${programs.dax} ${xfs}` },
    {
      name: 'native-devdax',
      seconds: 60,
      command: `${programs.devdax} ${device} ${attribute('size')} ${attribute('align')}`,
    },
  ];
  const others = nativeTests.map((path) => ({
    name: `native-${path.replace(/.*\//, '')}`,
    seconds: 90,
    command: path,
  }));
  return [...own, ...others];
}

/** The service, on all of it. */
export function serviceStep(
  parts: Parts,
  name: 'deletion' | 'numa' | 'prove' | 'serving' | 'writing',
  seconds: number,
  leftOut: readonly string[] = [],
): Step {
  const file = `test/pmem/guest/${name}.guest.ts`;
  return { name, seconds, command: nodeTest(name, [file], leftOut, environmentOf(parts)) };
}

/** The integration suite, with the folders of its regions on DAX. */
export function integrationStep(parts: Parts, on: keyof typeof brief, seconds: number, whole: boolean): Step {
  const name = `integration-${on}`;
  const folder = on === 'ext4-dax' ? ext4 : xfs;
  const environment = {
    ...environmentOf(parts),
    PAGERELAY_TEST_ON_DAX: on,
    PAGERELAY_TEST_TMPFS: folder,
    PAGERELAY_TEST_EXT4: folder,
  };
  const files = [...brief[on], ...(whole ? more[on] : [])].map((file) => `test/integration/${file}.test.ts`);
  return { name, seconds, command: nodeTest(name, files, unfit, environment) };
}

function environmentOf({ programs }: Parts): Record<string, string> {
  return {
    NODE_COMPILE_CACHE: '/tmp/compile-cache',
    PAGERELAY_PMEM_FILL: programs.fill,
    PAGERELAY_PMEM_FINDINGS: join(share, 'findings.jsonl'),
  };
}

/** Tests of those files that are left out: patterns of their names. */
const unfit = [
  // The same is tested on 'ext4', and both are the same folder there. One is about tmpfs alone: its fresh pages.
  '(on|of|from) tmpfs',
  // What every engine must do is done by the one that is used there; serving.guest.ts has the others. But it is of
  // sendfile, which copies there, that what it has sent is free at once, and that a cut waits for no reader.
  '^(?!a copy is free|cut ).* by (sendfile|copy|app.inject)',
  // It wants the first of the two to have its pages punched out, as on tmpfs.
  'bytes that are neither old nor new are kept from readers',
  // The first of its two is to be written to fresh pages beside a reader that never reads; on DAX both are 409.
  'a reader that never reads is broken off, and the writer has its pages',
  // The thread that computes it does not even start in the second that is waited for it.
  'Want-Repr-Digest',
  // It lets pages go too early on purpose, of which the kernel warns.
  'a done rule that lets go',
  // The thread that cuts the file is the one that reads: the cut waits for the reader, who waits for the cut.
  'cut .* while it is sent .* by splice',
  // It looks at once for the file of a region that is gone, which is kept there until its reader is done.
  'unfinished uploads, and files that have lost their names',
  // It looks at once at a file that xfs lets grow to 8 PiB, that nobody can map, and that is cut a moment later.
  'growing beyond the quota',
  // It wants five megabytes not to be in the socket's queues yet when its client goes away.
  'a client that vanishes in mid-body ends it',
  // It counts milliseconds of processor time, of which the guest takes twenty times as many for anything.
  'no notice is left for Node to spin on',
  // They start the command line, some again and again: 5 s each, and on a busy host longer than they wait.
  'a second service leaves alone what the first one has under way',
  'is reported and dropped, and the service serves',
  'is set aside and logged, and its region served',
  'a restart alone changes no entity-tag',
  'after a kill what was changed in place',
  // These take a minute and more there, or nearly as long as they may.
  'regions of one folder that come and go at once',
  'a large body does not go through memory',
  '1,000 requests of every kind',
  '200 connections at once',
  'a half-closed client that reads 50 MiB slowly',
  'readers in flight get their own generation',
  'readers and replacements at once',
];

function nodeTest(
  name: string,
  files: readonly string[],
  leftOut: readonly string[],
  environment: Readonly<Record<string, string>>,
): string {
  const set = Object.entries(environment).map(([key, value]) => `${key}='${value}'`);
  const flags = [
    '--test',
    '--test-isolation=none',
    // Under emulation one processor may still run into WebAssembly code that V8 has replaced, and freed, on the other:
    // undici's parser, or what strips types, then ends the process by SIGSEGV or SIGTRAP. So none is replaced.
    '--no-wasm-tier-up',
    '--no-wasm-code-gc',
    ...leftOut.map((pattern) => `--test-skip-pattern='${pattern}'`),
    '--test-reporter=./test/pmem/guest/json-reporter.ts',
    `--test-reporter-destination=${join(share, `${name}.jsonl`)}`,
  ];
  return [...set, process.execPath, ...flags, ...files].join(' ');
}
