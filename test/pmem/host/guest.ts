/** A machine with persistent memory: a QEMU guest in software emulation, with the files of this one. @module */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Kernel } from './kernel.ts';

const run = promisify(execFile);
/** This checkout, which the guest has at the same place. */
export const repository = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
const ours = join(repository, 'test', 'pmem', 'guest');

/** A command for the guest's shell, in the repository's folder, and how long it may take. */
export type Step = { readonly name: string; readonly seconds: number; readonly command: string };

/** What is booted. Its results, the kernel's log and its own go to `folder`, which is the guest's /run/share. */
export type Guest = {
  readonly kernel: Kernel;
  readonly cpus: 1 | 2;
  readonly steps: readonly Step[];
  readonly folder: string;
  /** For the whole of it. */
  readonly seconds: number;
};

const nvdimms = 3;
const bootSeconds = 60;
const tries = 2;

/**
 * Boots a guest, runs its steps, and waits until it is off, which it is in any case when its time is over, or this
 * process ends. Tries again once when it does not boot.
 *
 * @throws Error when it does not boot, and when its time is over before its steps are
 */
export async function runGuest(guest: Guest, signal: AbortSignal): Promise<void> {
  await prepare(guest);
  try {
    for (let left = tries; left > 0; left--) {
      signal.throwIfAborted();
      await bootOnce(guest, signal);
      if (existsSync(join(guest.folder, 'booted'))) return;
    }
  } finally {
    await rm(join(guest.folder, 'initramfs.cpio'));
  }
  throw new Error(`the guest does not boot: see ${join(guest.folder, 'console.log')}`);
}

async function prepare({ folder, kernel, steps }: Guest): Promise<void> {
  await mkdir(folder, { recursive: true });
  const lines = steps.map(({ name, seconds, command }) => `${name}\t${seconds}\t${command}\n`);
  await writeFile(join(folder, 'steps'), lines.join(''));
  await writeFile(join(folder, 'start'), `cd '${repository}' && . ./test/pmem/guest/start.sh\n`);
  await makeInitramfs(kernel, folder);
}

async function makeInitramfs({ modules }: Kernel, folder: string): Promise<void> {
  const root = join(folder, 'initramfs');
  for (const part of ['bin', 'modules']) await mkdir(join(root, part), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin', 'busybox'));
  await copyFile(join(ours, 'init'), join(root, 'init'));
  await chmod(join(root, 'init'), 0o755);
  for (const module of modules) await copyFile(module, join(root, 'modules', basename(module)));
  await run('sh', ['-c', 'find . | cpio --quiet -o -H newc > ../initramfs.cpio'], { cwd: root });
  await rm(root, { recursive: true });
}

async function bootOnce(guest: Guest, signal: AbortSignal): Promise<void> {
  const disks = Array.from({ length: nvdimms }, (_, at) => join(guest.folder, `nvdimm${at}`));
  try {
    for (const disk of disks) await makeSparse(disk, 512 << 20);
    const log = await open(join(guest.folder, 'qemu.log'), 'a');
    // By setpriv the guest goes with this process, however that ends.
    const program = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...arguments_(guest, disks)];
    const qemu = spawn('setpriv', program, { stdio: ['ignore', log.fd, log.fd] });
    const off = () => qemu.kill('SIGKILL');
    let isLate = false;
    const late = setTimeout(() => {
      isLate = off();
    }, guest.seconds * 1000);
    const unbooted = setTimeout(() => existsSync(join(guest.folder, 'booted')) || off(), bootSeconds * 1000);
    signal.addEventListener('abort', off);
    await once(qemu, 'close');
    signal.removeEventListener('abort', off);
    clearTimeout(late);
    clearTimeout(unbooted);
    await log.close();
    if (isLate) throw new Error(`its ${guest.seconds} s were over before its steps: ${guest.folder}/output.log`);
  } finally {
    for (const disk of disks) await rm(disk, { force: true });
  }
}

async function makeSparse(path: string, size: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(size);
  await file.close();
}

function arguments_({ kernel, cpus, folder }: Guest, disks: readonly string[]): string[] {
  const memory = [0, 1].flatMap((node) => [
    ['-object', `memory-backend-ram,id=m${node},size=768M`],
    ['-numa', `node,nodeid=${node}${node < cpus ? `,cpus=${node}` : ''},memdev=m${node}`],
  ]);
  const dimms = disks.flatMap((path, at) => [
    ['-object', `memory-backend-file,id=nv${at},share=on,mem-path=${path},size=512M,align=128M`],
    ['-device', `nvdimm,id=nvd${at},memdev=nv${at},unarmed=off,node=1`],
  ]);
  return [
    [
      '-machine',
      'q35,nvdimm=on,accel=tcg',
      '-cpu',
      'max',
      '-smp',
      `${cpus},sockets=${cpus}`,
      '-m',
      '1536M,slots=4,maxmem=8G',
    ],
    ...memory,
    ...dimms,
    ['-fsdev', 'local,id=root,path=/,security_model=none,readonly=on,multidevs=remap'],
    ['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root'],
    ['-fsdev', `local,id=share,path=${folder},security_model=none`],
    ['-device', 'virtio-9p-pci,fsdev=share,mount_tag=share'],
    ['-device', 'virtio-rng-pci'],
    ['-serial', `file:${join(folder, 'console.log')}`, '-serial', `file:${join(folder, 'output.log')}`],
    ['-kernel', kernel.image, '-initrd', join(folder, 'initramfs.cpio')],
    ['-append', 'console=ttyS0 panic=-1 oops=panic hugepages=32'],
    ['-no-reboot', '-nodefaults', '-display', 'none'],
  ].flat();
}
