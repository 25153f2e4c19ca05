/** What a guest does: which tests run there, on which file system, and how long they may take. @module */
import { join } from 'node:path';
import type { Step } from './guest.ts';
import type { Programs } from './programs.ts';

/** What steps need to know. `folder` is the guest's for results. */
export type Parts = { readonly programs: Programs; readonly nativeTests: readonly string[] };

const share = '/run/share';
const [ext4, xfs] = ['/tmp/pmem-ext4', '/tmp/pmem-xfs'];
const device = '$(ls /dev/dax*)';
const attribute = (name: string) => `$(cat /sys/bus/dax/devices/dax*/${name})`;

/*
 * One Node runs many files: its start and the service's take 8 s each time. Left out are those that need namespaces or
 * command lines by the dozen, thousands of connections, or files that would not fit; and those that cut files
 * themselves, which on DAX waits for a reader that can't read meanwhile.
 */
const integration = {
  'ext4-dax': [
    'no-copy',
    'held-until-done',
    'broken-off',
    'ways-out',
    'writing/overwrite',
    'writing/resize',
    'writing/delete',
    'writing/put',
    'writing/leases',
    'writing/replaced-in-flight',
  ],
  'xfs-dax': ['no-copy', 'held-until-done', 'writing/resize', 'writing/put', 'writing/replaced-in-flight'],
} as const;

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
  name: 'deletion' | 'prove' | 'serving' | 'writing',
  seconds: number,
  leftOut: readonly string[] = [],
): Step {
  const file = `test/pmem/guest/${name}.guest.ts`;
  return { name, seconds, command: nodeTest(name, [file], leftOut, environmentOf(parts)) };
}

/** The integration suite, with the folders of its regions on DAX. */
export function integrationStep(parts: Parts, on: keyof typeof integration, seconds: number): Step {
  const name = `integration-${on}`;
  const folder = on === 'ext4-dax' ? ext4 : xfs;
  const environment = {
    ...environmentOf(parts),
    PAGERELAY_TEST_ON_DAX: on,
    PAGERELAY_TEST_TMPFS: folder,
    PAGERELAY_TEST_EXT4: folder,
  };
  const files = integration[on].map((file) => `test/integration/${file}.test.ts`);
  return { name, seconds, command: nodeTest(name, files, unfit, environment) };
}

function environmentOf({ programs }: Parts): Record<string, string> {
  return {
    NODE_COMPILE_CACHE: '/tmp/compile-cache',
    PAGERELAY_PMEM_FILL: programs.fill,
    PAGERELAY_PMEM_PLAIN_SENDER: programs.plainSender,
    PAGERELAY_PMEM_FINDINGS: join(share, 'findings.jsonl'),
  };
}

const unfit = [
  // It lets pages go too early on purpose, of which the kernel warns.
  'a done rule that lets go',
  // These want a sendfile that does not copy.
  'a lease waits for readers of its pages',
  'what is sent and unread keeps its file',
  // It looks at once at a file that xfs lets grow to 8 PiB, that nobody can map, and that is cut a moment later.
  'growing beyond the quota',
  // These take minutes there.
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
    ...leftOut.map((pattern) => `--test-skip-pattern='${pattern}'`),
    '--test-reporter=./test/pmem/guest/json-reporter.ts',
    `--test-reporter-destination=${join(share, `${name}.jsonl`)}`,
  ];
  return [...set, process.execPath, ...flags, ...files].join(' ');
}
