/**
 * `npm run test:pmem [-- --whole]`: boots machines with persistent memory (QEMU guests in software emulation), runs native tests, the
 * service and its integration tests in them, and tells of each as a test of its own. Needs root, and packages that it
 * asks for; fetches kernels by apt, once.
 *
 * @module
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Guest, runGuest, type Step } from './host/guest.ts';
import { fetchKernel, type Kernel, type Source } from './host/kernel.ts';
import { whatIsMissing } from './host/needs.ts';
import { buildNativeTests, buildPrograms } from './host/programs.ts';
import { describeFindings, type Finding } from './host/report.ts';
import { integrationStep, makeDax, nativeSteps, type Parts, serviceStep, unjudgedFiles } from './host/steps.ts';
import { exitCodeOf, tell, type Verdict, verdictsOf } from './host/verdicts.ts';

type Boot = {
  readonly title: string;
  readonly source: Source;
  readonly cpus: 1 | 2;
  readonly seconds: number;
  readonly steps: (parts: Parts) => Step[];
};

// All of the integration suite that can run on DAX, not only what is about pages and files.
const whole = process.argv.includes('--whole');

const boots: readonly Boot[] = [
  {
    title: 'Debian’s kernel, two CPUs',
    source: 'here',
    cpus: 2,
    seconds: 1200,
    steps: (parts) => [
      makeDax,
      ...nativeSteps(parts),
      serviceStep(parts, 'deletion', 300),
      serviceStep(parts, 'prove', 180),
      serviceStep(parts, 'serving', 120),
      serviceStep(parts, 'numa', 120),
      serviceStep(parts, 'writing', 240),
      integrationStep(parts, 'ext4-dax', 600, whole),
      integrationStep(parts, 'xfs-dax', 240, whole),
    ],
  },
  {
    title: 'Debian’s kernel, one CPU',
    source: 'here',
    cpus: 1,
    seconds: 360,
    steps: (parts) => [
      makeDax,
      ...nativeSteps({ ...parts, nativeTests: [] }),
      serviceStep(parts, 'deletion', 180, ['a service that is killed']),
      serviceStep(parts, 'numa', 120),
      serviceStep(parts, 'writing', 120),
    ],
  },
  {
    title: 'the newest kernel of Debian’s backports, two CPUs',
    source: 'trixie-backports',
    cpus: 2,
    seconds: 600,
    steps: (parts) => [
      makeDax,
      ...nativeSteps(parts),
      serviceStep(parts, 'deletion', 300),
      serviceStep(parts, 'prove', 180),
      serviceStep(parts, 'writing', 120),
    ],
  },
];

const results = mkdtempSync(join(process.env.PAGERELAY_PMEM_RESULTS ?? tmpdir(), 'pagerelay-pmem-'));
const interrupted = new AbortController();
const told: (Verdict & { boot: string; kernel: string; cpus: number; step: string })[] = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    interrupted.abort(new Error(`interrupted by ${signal}`));
    process.exitCode = 130;
  });
}

const missing = whatIsMissing();
if (missing === undefined) runAll();
else leaveOut('persistent memory in a guest', missing);

function runAll(): void {
  let parts: Promise<Parts> | undefined;
  test('the programs for the guest are built', async () => {
    parts = build();
    await parts;
  });
  for (const file of unjudgedFiles()) {
    const why = 'nobody has said in test/pmem/host/steps.ts whether it runs on DAX';
    test(`test/integration/${file}.test.ts`, { skip: why }, () => {});
  }
  for (const boot of boots) {
    test(boot.title, async (t) => {
      interrupted.signal.throwIfAborted();
      const kernel = await kernelFor(t, boot.source);
      if (kernel && parts) await runBoot(t, boot, kernel, await parts);
    });
  }
  process.once('exit', () => {
    const found = findings();
    writeFileSync(join(results, 'results.json'), `${JSON.stringify({ tests: told, findings: found }, null, 2)}\n`);
    console.log(`\n${describeFindings(found)}\n\nwhat the guests have brought back: ${results}`);
  });
}

async function build(): Promise<Parts> {
  const programs = await buildPrograms(join(results, 'programs'));
  return { programs, nativeTests: await buildNativeTests() };
}

/** Debian's own must be had; another one where apt offers it. */
async function kernelFor(t: TestContext, source: Source): Promise<Kernel | undefined> {
  try {
    return await fetchKernel(source);
  } catch (error) {
    if (source === 'here' && process.env.CI) throw error;
    t.skip(`no kernel to be had from apt (${source}): ${(error as Error).message}`);
    return undefined;
  }
}

async function runBoot(t: TestContext, boot: Boot, kernel: Kernel, parts: Parts): Promise<void> {
  const { cpus, seconds } = boot;
  const folder = join(results, `${kernel.release}-${cpus}cpu`);
  const guest: Guest = { kernel, cpus, seconds, folder, steps: boot.steps(parts) };
  let isOff = false;
  const running = runGuest(guest, interrupted.signal).finally(() => {
    isOff = true;
  });
  running.catch(() => {});
  for (const { name } of guest.steps) {
    const code = await exitCodeOf(folder, name, () => isOff);
    const verdicts = verdictsOf(folder, name, code);
    told.push(
      ...verdicts.map((verdict) => ({ ...verdict, boot: boot.title, kernel: kernel.release, cpus, step: name })),
    );
    await t.test(`${name} (Linux ${kernel.release}, ${cpus} CPU)`, (t) => tell(t, verdicts));
  }
  await running;
}

function findings(): Finding[] {
  const guests = new Map(told.map(({ kernel, cpus }) => [`${kernel}-${cpus}cpu`, { kernel, cpus }]));
  return [...guests].flatMap(([folder, guest]) => {
    const path = join(results, folder, 'findings.jsonl');
    const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
    return lines.map((line) => ({ ...JSON.parse(line), ...guest }) as Finding);
  });
}

function leaveOut(name: string, why: string): void {
  rmSync(results, { recursive: true });
  test(name, (t) => {
    console.error(`\nSKIP npm run test:pmem: ${why}\n`);
    if (process.env.CI) assert.fail(why);
    t.skip(why);
  });
}
