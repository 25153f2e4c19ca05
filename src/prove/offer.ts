/** The backings that a machine offers: for each a region to send, and scratch pages of the same kind to try. @module */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Backing } from '../relay/relay.ts';
import { errnoName, type ScratchKind, type Shim } from '../relay/shim.ts';
import type { Absent } from './result.ts';

/** A region, and where scratch pages of its kind come from. */
export type Offer = {
  readonly backing: Backing;
  /** How it is called. */
  readonly where: string;
  readonly scratch: ScratchKind;
  /** Where scratch pages come from: a folder, or the device. */
  readonly place: string;
  /** The region. */
  readonly path: string;
  /** Removes what was made. */
  close(): void;
};

/** A `--path` that is neither a folder nor a device. */
export class NoBacking extends Error {
  override readonly name = 'NoBacking';
}

const mebibyte = 2 ** 20;
const regionBytes = 64 * mebibyte;
/** The service tries engines on a huge page of its own. */
const hugePagesToSpare = 1;
const noHugePages = 'no huge pages are free; root can set some aside: echo 64 > /proc/sys/vm/nr_hugepages';

/** Makes one: what it takes is there from the call to `close`. */
export type OfferMaker = () => Offer | Absent;

/** What a machine offers without being told: tmpfs, a memfd, huge pages, the page cache. */
export function offersOfMachine(shim: Shim): OfferMaker[] {
  return [
    attempting('tmpfs', false, () => offerFolder(shim, '/dev/shm', 'tmpfs')),
    attempting('memfd', false, () => offerMemfd(shim)),
    attempting('hugetlb', false, () => offerHugePages(shim)),
    attempting('pagecache', false, () => offerPageCache(shim)),
  ];
}

/** What a folder or a device offers. @throws NoBacking when the path is neither */
export function offerOfPath(shim: Shim, path: string): OfferMaker {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory()) return attempting(path, true, () => offerFolder(shim, path));
  if (status && isDevdax(status)) return attempting(path, true, () => offerDevice(shim, path));
  throw new NoBacking(`${path} is neither a folder nor a devdax device`);
}

// Other devices are not even opened: for some, that does something.
function isDevdax(status: Stats): boolean {
  const major = (status.rdev >> 8) & 0xfff;
  const minor = (status.rdev & 0xff) | ((status.rdev >> 12) & 0xfff00);
  const subsystem = `/sys/dev/char/${major}:${minor}/subsystem`;
  return status.isCharacterDevice() && existsSync(subsystem) && basename(realpathSync(subsystem)) === 'dax';
}

/** Why there is nothing to offer. */
class Lacking extends Error {
  override readonly name = 'Lacking';
}

function attempting(backing: string, asked: boolean, make: () => Offer): OfferMaker {
  return () => {
    try {
      return make();
    } catch (error) {
      return { backing, asked, why: error instanceof Error ? error.message : String(error) };
    }
  };
}

function offerPageCache(shim: Shim): Offer {
  const cache = [tmpdir(), '/var/tmp'].find((folder) => backingOf(shim, folder) === 'pagecache');
  if (cache !== undefined) return offerFolder(shim, cache, 'pagecache');
  throw new Lacking(`${tmpdir()} and /var/tmp are not in the page cache: name a folder by --path`);
}

function backingOf(shim: Shim, folder: string): Backing | undefined {
  const backing = existsSync(folder) ? shim.witness('backing', 'folder', folder) : -1;
  return typeof backing === 'number' ? undefined : backing;
}

function offerFolder(shim: Shim, place: string, expected?: Backing): Offer {
  const backing = shim.witness('backing', 'folder', place);
  if (typeof backing === 'number') throw new Lacking(`no nameless file can be made in ${place}: ${errnoName(backing)}`);
  if (expected && backing !== expected) throw new Lacking(`${place} is ${backing}`);
  const bytes = backing === 'hugetlb' ? freeHugeBytes(statfsSync(place).bsize) : freeBytes(place);
  if (bytes === 0) throw new Lacking(backing === 'hugetlb' ? noHugePages : `${place} has no room`);
  const folder = mkdtempSync(join(place, 'pagerelay-prove-'));
  const close = () => rmSync(folder, { recursive: true, force: true });
  const path = join(folder, 'region');
  try {
    fill(path, bytes, backing !== 'hugetlb');
  } catch (error) {
    close();
    throw error;
  }
  return { backing, where: place, scratch: 'folder', place, path, close };
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor(Math.min(regionBytes, (bavail * bsize) / 2) / mebibyte) * mebibyte;
}

// hugetlbfs has no write(2): what is mapped of it is zeros.
function fill(path: string, bytes: number, written: boolean): void {
  const fd = openSync(path, 'wx+', 0o600);
  try {
    if (written) writeAll(fd, bytes);
    else ftruncateSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: number): void {
  const chunk = Buffer.alloc(mebibyte, 'pagerelay prove ');
  for (let at = 0; at < bytes; ) at += writeSync(fd, chunk, 0, Math.min(chunk.length, bytes - at), at);
}

function offerMemfd(shim: Shim): Offer {
  const fd = shim.createMemfd('pagerelay-prove', 0);
  if (fd < 0) throw new Lacking(`none can be made: ${errnoName(fd)}`);
  writeAll(fd, regionBytes);
  return { backing: 'memfd', where: 'memfd', scratch: 'memfd', place: '', ...descriptor(fd) };
}

function offerHugePages(shim: Shim): Offer {
  const bytes = freeHugeBytes(defaultHugePageBytes());
  const fd = bytes === 0 ? 0 : shim.createMemfd('pagerelay-prove', bytes);
  if (fd <= 0) throw new Lacking(noHugePages);
  return { backing: 'hugetlb', where: 'hugetlb', scratch: 'hugetlb', place: '', ...descriptor(fd) };
}

// The sending process opens it through this one's table.
function descriptor(fd: number): Pick<Offer, 'path' | 'close'> {
  return { path: `/proc/${process.pid}/fd/${fd}`, close: () => closeSync(fd) };
}

function defaultHugePageBytes(): number {
  return 1024 * Number(/^Hugepagesize: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0);
}

/** Whole pages that are neither used nor promised (Documentation/admin-guide/mm/hugetlbpage.rst), less some to spare. */
function freeHugeBytes(pageBytes: number): number {
  const folder = `/sys/kernel/mm/hugepages/hugepages-${pageBytes / 1024}kB`;
  if (!existsSync(folder)) return 0;
  const read = (name: string) => Number(readFileSync(join(folder, name), 'latin1'));
  const free = read('free_hugepages') - read('resv_hugepages') - hugePagesToSpare;
  const wanted = Math.ceil(regionBytes / pageBytes);
  return Math.max(0, Math.min(free, wanted)) * pageBytes;
}

function offerDevice(shim: Shim, path: string): Offer {
  const backing = shim.witness('backing', 'device', path);
  if (typeof backing === 'number') throw new Lacking(`it can not be had as a devdax device: ${errnoName(backing)}`);
  return { backing, where: path, scratch: 'device', place: path, path, close: () => {} };
}
