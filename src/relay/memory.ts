/** How much memory the process may still take: what its control groups and the machine leave, pages that can be dropped among it. @module */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Of a version of control groups: where they are mounted, and what they call things. */
type Version = {
  readonly mounts: readonly string[];
  readonly limit: string;
  readonly used: string;
  /** Lines of memory.stat: what the kernel drops before it kills anybody. */
  readonly droppable: readonly string[];
};

const first: Version = {
  mounts: ['sys/fs/cgroup/memory'],
  limit: 'memory.limit_in_bytes',
  used: 'memory.usage_in_bytes',
  droppable: ['total_inactive_file', 'total_active_file'],
};
const second: Version = {
  mounts: ['sys/fs/cgroup', 'sys/fs/cgroup/unified'],
  limit: 'memory.max',
  used: 'memory.current',
  droppable: ['inactive_file', 'active_file', 'slab_reclaimable'],
};

/** Memory in bytes: all that there is, and what is left of it. */
export type Memory = { readonly all: number; readonly left: number };

/**
 * The tightest of the machine and the control groups that the process is in.
 *
 * @param root what is read, for tests
 * @returns undefined where nobody can tell
 */
export function memoryLeft(root = '/'): Memory | undefined {
  const found = [ofMachine(root), ...ofGroups(root)].filter((memory) => memory !== undefined);
  return found.reduce<Memory | undefined>((least, one) => (least && least.left <= one.left ? least : one), undefined);
}

function ofMachine(root: string): Memory | undefined {
  const text = read(join(root, 'proc/meminfo'));
  const kibibytes = (name: string) => new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1];
  const [all, left] = [kibibytes('MemTotal'), kibibytes('MemAvailable')];
  return all && left ? { all: Number(all) * 1024, left: Number(left) * 1024 } : undefined;
}

// A container can see its own group at the root of the mount, whatever path it is said to have.
function* ofGroups(root: string): Generator<Memory | undefined> {
  for (const line of read(join(root, 'proc/self/cgroup')).split('\n')) {
    const [, number, controllers = '', path = '/'] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    const version = number === '0' ? second : controllers.split(',').includes('memory') ? first : undefined;
    for (const mount of version?.mounts ?? []) {
      for (let at = path; version; at = dirname(at)) {
        yield ofGroup(join(root, mount, at), version);
        if (at === '/' || at === '.') break;
      }
    }
  }
}

function ofGroup(folder: string, { limit, used, droppable }: Version): Memory | undefined {
  const all = Number.parseInt(read(join(folder, limit)), 10);
  const taken = Number.parseInt(read(join(folder, used)), 10);
  // Version 1 says none by the largest number of pages.
  if (Number.isNaN(all) || Number.isNaN(taken) || all > Number.MAX_SAFE_INTEGER) return undefined;
  const stat = new Map(
    [...read(join(folder, 'memory.stat')).matchAll(/^(\w+) (\d+)$/gm)].map(([, name, bytes]) => [name, Number(bytes)]),
  );
  const dropped = droppable.reduce((sum, name) => sum + (stat.get(name) ?? 0), 0);
  return { all, left: all - taken + dropped };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
