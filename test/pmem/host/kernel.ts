/** Debian's kernels, fetched by apt and unpacked; nothing is installed, and no file of apt's is changed. @module */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where packages come from: those that the machine knows, or a suite of Debian's that it need not know. */
export type Source = 'here' | 'trixie-backports';

/** A kernel that can be booted. `modules` are decompressed and in the order in which they are to be loaded. */
export type Kernel = { readonly release: string; readonly image: string; readonly modules: readonly string[] };

/** What the guest needs; what these need is found out. Those that a kernel has built in are left out. */
const wantedModules = [
  'crc32c_generic',
  'virtio_pci',
  '9pnet_virtio',
  '9p',
  'overlay',
  'virtio_rng',
  'nfit',
  'nd_pmem',
  'dax_pmem',
  'device_dax',
  'ext4',
  'xfs',
  'tls',
  'inet_diag',
  'tcp_diag',
  'veth',
];

const updateMilliseconds = 60_000;
const downloadMilliseconds = 240_000;

/** What is fetched once and kept. */
const cacheFolder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'pagerelay', 'pmem');

/** The newest kernel of a source. @throws Error when apt has none */
export async function fetchKernel(source: Source): Promise<Kernel> {
  if (source !== 'here') return fetchBy(await aptFor(source));
  try {
    return await fetchBy([]);
  } catch {
    // What the machine knows of packages may be old, or nothing at all.
    await run('apt-get', ['-qq', 'update'], { timeout: updateMilliseconds });
    return fetchBy([]);
  }
}

async function fetchBy(options: readonly string[]): Promise<Kernel> {
  const packages = await packagesOf('linux-image-amd64', options);
  if (packages.length === 0) throw new Error('apt knows no linux-image-amd64');
  const folder = join(cacheFolder, 'kernels', packages.sort().join('+'));
  if (!existsSync(folder)) await unpack(packages, options, folder);
  return describe(folder);
}

// An apt of its own: lists and cache elsewhere, one source, and the keys of the machine.
async function aptFor(suite: string): Promise<string[]> {
  const state = join(cacheFolder, 'apt', suite);
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const mirror = 'http://deb.debian.org/debian';
  await writeFile(join(state, 'sources.list'), `deb [signed-by=${key}] ${mirror} ${suite} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${join(state, 'sources.list')}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${join(state, 'lists')}`,
    `Dir::Cache=${state}`,
  ].flatMap((option) => ['-o', option]);
  await run('apt-get', [...options, '-qq', 'update'], { timeout: updateMilliseconds });
  return options;
}

/** `name=version` of the packages that have the kernel and its modules: one of old, three of newer releases. */
async function packagesOf(name: string, options: readonly string[], found: string[] = []): Promise<string[]> {
  const { stdout } = await run('apt-cache', [...options, 'show', '--no-all-versions', name]);
  const field = (wanted: string) => new RegExp(`^${wanted}: (.*)$`, 'm').exec(stdout)?.[1] ?? '';
  if (name !== 'linux-image-amd64') found.push(`${name}=${field('Version')}`);
  for (const [needed] of field('Depends').matchAll(/\blinux-(?:image|binary|modules)-\d\S*-amd64\b/g)) {
    if (!found.some((package_) => package_.startsWith(`${needed}=`))) await packagesOf(needed, options, found);
  }
  return found;
}

async function unpack(packages: readonly string[], options: readonly string[], folder: string): Promise<void> {
  await mkdir(join(cacheFolder, 'kernels'), { recursive: true });
  const work = await mkdtemp(join(cacheFolder, 'unpacking-'));
  try {
    await run('apt-get', [...options, '-qq', 'download', ...packages], { cwd: work, timeout: downloadMilliseconds });
    for (const archive of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(work, archive), join(work, 'root')]);
    }
    await mkdir(join(work, 'kernel'));
    await collect(join(work, 'root'), join(work, 'kernel'));
    await rename(join(work, 'kernel'), folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function collect(root: string, kernel: string): Promise<void> {
  if (!existsSync(join(root, 'lib'))) await symlink('usr/lib', join(root, 'lib'));
  const modules = join(root, 'lib', 'modules');
  const release = (await readdir(modules))[0] ?? '';
  await run('depmod', ['-b', root, release]);
  // Since 7.x it lies beside its modules.
  const image = [join(root, 'boot', `vmlinuz-${release}`), join(modules, release, 'vmlinuz')].find(existsSync) ?? '';
  await rename(image, join(kernel, `vmlinuz-${release}`));
  const needs = parseDependencies(await readFile(join(modules, release, 'modules.dep'), 'utf8'));
  for (const [at, path] of inOrder(needs).entries()) {
    const place = join(kernel, `${String(at).padStart(2, '0')}-${basename(path)}`);
    await rename(join(modules, release, path), place);
    if (path.endsWith('.xz')) await run('xz', ['-d', place]);
    if (path.endsWith('.zst')) await run('zstd', ['-q', '-d', '--rm', place]);
  }
}

// modules.dep itself: `modprobe --show-depends` leaves out what the kernel that runs now has built in.
function parseDependencies(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = text.split('\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const [path = '', needs = ''] = line.split(':');
      return [path, needs.split(' ').filter((need) => need !== '')];
    }),
  );
}

function inOrder(needs: ReadonlyMap<string, readonly string[]>): string[] {
  const named = new Map(
    [...needs.keys()].map((path) => [
      basename(path)
        .replace(/\.ko.*/, '')
        .replaceAll('-', '_'),
      path,
    ]),
  );
  const order: string[] = [];
  const add = (path: string) => {
    if (order.includes(path)) return;
    for (const need of needs.get(path) ?? []) add(need);
    if (!order.includes(path)) order.push(path);
  };
  for (const name of wantedModules) {
    const path = named.get(name);
    if (path !== undefined) add(path);
  }
  return order;
}

async function describe(folder: string): Promise<Kernel> {
  const files = (await readdir(folder)).sort();
  const image = files.find((file) => file.startsWith('vmlinuz-')) ?? '';
  const modules = files.filter((file) => file.endsWith('.ko')).map((file) => join(folder, file));
  return { release: image.slice('vmlinuz-'.length), image: join(folder, image), modules };
}
