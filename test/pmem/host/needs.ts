/** What a machine must have to boot a guest. @module */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

/** Programs, and the Debian packages that have them. `busybox` has to be a static one: it runs before there is a libc. */
const programs: Readonly<Record<string, string>> = {
  '/usr/bin/qemu-system-x86_64': 'qemu-system-x86',
  '/bin/busybox': 'busybox-static',
  '/usr/bin/ndctl': 'ndctl',
  '/usr/sbin/mkfs.xfs': 'xfsprogs',
  '/usr/sbin/mkfs.ext4': 'e2fsprogs',
  '/usr/bin/cpio': 'cpio',
  '/usr/sbin/depmod': 'kmod',
  '/usr/bin/xz': 'xz-utils',
  '/usr/bin/setpriv': 'util-linux',
  '/usr/bin/apt-get': 'apt',
  '/usr/bin/cc': 'gcc',
};

/** Why no guest can be booted here, and what to do about it; undefined when one can. */
export function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the guest is an x86-64 Linux, run by one';
  // Root, for the guest's root is this machine's, and reads what only root may.
  if (process.getuid?.() !== 0) return 'the guest shares this machine’s files with its root: run this as root';
  const packages = Object.entries(programs).flatMap(([path, apt]) => (isExecutable(path) ? [] : [apt]));
  if (isExecutable('/bin/busybox') && !isStatic('/bin/busybox')) packages.push('busybox-static');
  if (packages.length === 0) return undefined;
  return `not on this machine: apt-get install --no-install-recommends ${[...new Set(packages)].join(' ')}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// ldd fails on what has nothing to be linked with.
function isStatic(path: string): boolean {
  try {
    execFileSync('ldd', [path], { stdio: 'pipe' });
    return false;
  } catch {
    return true;
  }
}
