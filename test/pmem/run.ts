/**
 * `npm run test:pmem`: boots machines with persistent memory (QEMU guests in software emulation), runs native tests, the
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
import { integrationStep, makeDax, nativeSteps, type Parts, serviceStep } from './host/steps.ts';
import { exitCodeOf, tell, type Verdict, verdictsOf } from './host/verdicts.ts';

type Boot = {
  readonly title: string;
  readonly source: Source;
  readonly cpus: 1 | 2;
  readonly seconds: number;
  readonly steps: (parts: Parts) => Step[];
};

const boots: readonly Boot[] = [
  {
    title: 'Debian’s kernel, two CPUs',
    source: 'here',
    cpus: 2,
    seconds: 600,
    steps: (parts) => [
      makeDax,
      ...nativeSteps(parts),
      serviceStep(parts, 'deletion', 240),
      serviceStep(parts, 'prove', 180),
      serviceStep(parts, 'serving', 120),
      serviceStep(parts, 'writing', 240),
      integrationStep(parts, 'ext4-dax', 240),
      integrationStep(parts, 'xfs-dax', 240),
    ],
  },
  {
    title: 'Debian’s kernel, one CPU',
    source: 'here',
    cpus: 1,
    seconds: 180,
    steps: (parts) => [makeDax, ...nativeSteps({ ...parts, nativeTests: [] }), serviceStep(parts, 'writing', 120)],
  },
  {
    title: 'the newest kernel of Debian’s backports, two CPUs',
    source: 'trixie-backports',
    cpus: 2,
    seconds: 240,
    steps: (parts) => [
      makeDax,
      ...nativeSteps(parts),
      serviceStep(parts, 'deletion', 120, ['a service that is killed']),
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
  for (const boot of boots) {
    test(boot.title, async (t) => {
      interrupted.signal.throwIfAborted();
      const kernel = await kernelFor(t, boot.source);
      if (kernel && parts) await runBoot(t, boot, kernel, await parts);
    });
  }
  process.once('exit', () => {
    writeFileSync(join(results, 'results.json'), `${JSON.stringify({ tests: told, findings: findings() }, null, 2)}\n`);
    console.log(`what the guests have brought back: ${results}`);
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

function findings(): unknown[] {
  const folders = new Set(told.map(({ kernel, cpus }) => join(results, `${kernel}-${cpus}cpu`)));
  return [...folders].flatMap((folder) => {
    const path = join(folder, 'findings.jsonl');
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => ({ folder, ...JSON.parse(line) }));
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
