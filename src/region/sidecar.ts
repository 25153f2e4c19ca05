/** What pagerelay remembers of a region beside its file. @module */
import { hash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open, opendir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { changedAt, modifiedAt } from '../relay/file-identity.ts';
import type { FileIdentity } from '../relay/relay.ts';
import { DamagedSidecar, type Description, parseSidecar, type Sidecar, serializeSidecar } from './sidecar-format.ts';
import { makeFolder } from './state-folder.ts';
import type { ContentState } from './validator.ts';

export { DamagedSidecar, type Description, type Sidecar } from './sidecar-format.ts';

/** Makes things durable. Given by the caller, so that tests can have it fail. */
export type Sync = {
  /** What was written to a descriptor is on its medium. */
  file(fd: number): Promise<void>;
  /** What was made, renamed or removed in a folder is on its medium. */
  folder(path: string): Promise<void>;
};

const sidecarName = /^[0-9a-f]{32}\.json$/;
const unfinishedName = /^[0-9a-f]{32}\.json\.[0-9a-f]+\.new$/;

/**
 * What is remembered of a region, by the state folder of its tree; undefined: nothing is.
 *
 * @throws DamagedSidecar for a file that `writeSidecar` did not write for this name; the file system's error
 */
export function readSidecar(folder: string, name: string): Sidecar | undefined {
  const path = sidecarPath(folder, name);
  // Most regions have none, and an error costs more than all the rest of looking at a region.
  if (!statSync(path, { throwIfNoEntry: false })) return undefined;
  try {
    const sidecar = parseSidecar(path, readFileSync(path, 'utf8'));
    if (sidecar.name === name) return sidecar;
    throw ofAnother(path);
  } catch (error) {
    return undefinedWhenMissing(error);
  }
}

/**
 * Replaces a sidecar durably. Calls for one region must not overlap: the last rename wins.
 *
 * @throws RangeError for what `readSidecar` would refuse; the file system's error, or that of `sync`. Then the old
 * sidecar is still there, unless syncing the folder has failed: then a crash may leave either.
 */
export async function writeSidecar(folder: string, sidecar: Sidecar, sync: Sync): Promise<void> {
  const text = serializeSidecar(sidecar);
  const regions = regionsFolder(folder);
  if (await makeRegionsFolder(folder)) await sync.folder(folder);
  const path = sidecarPath(folder, sidecar.name);
  const unfinished = `${path}.${randomName()}.new`;
  try {
    await writeDurably(unfinished, text, sync);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  await sync.folder(regions);
}

/** Forgets a region, not durably, if it is remembered. @throws the file system's error */
export async function removeSidecar(folder: string, name: string): Promise<void> {
  await rm(sidecarPath(folder, name), { force: true });
}

/**
 * All sidecars of a state folder, which may be missing, in no order, one read at a time.
 *
 * @throws the file system's error
 */
export async function* allSidecars(folder: string): AsyncGenerator<Sidecar | DamagedSidecar> {
  for (const path of await regionFiles(folder, sidecarName)) {
    const text = await readFile(path, 'utf8').catch(undefinedWhenMissing);
    if (text !== undefined) yield tryParse(path, text); // Else its region was deleted since the folder was listed.
  }
}

/** Removes what writers left behind at a crash. Nobody may be writing sidecars. @throws the file system's error */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const path of await regionFiles(folder, unfinishedName)) await rm(path, { force: true });
}

/**
 * Moves a damaged sidecar into `damaged/`, for people to look at, under a name that no other has. Gives its new path.
 *
 * @throws the file system's error
 */
export async function setAside(folder: string, path: string, now: Date): Promise<string> {
  const damaged = join(folder, 'damaged');
  await makeFolder(damaged);
  const to = join(damaged, `${basename(path)}.${now.toISOString().replaceAll(':', '')}.${randomName()}`);
  await rename(path, to);
  return to;
}

/** Whether a description is of this file, by inode. Size and mtime count where no run may still be changing them. */
export function describes(description: Description, file: FileIdentity): boolean {
  if (description.inode !== file.inode) return false;
  if (description.version === undefined || description.run !== undefined) return true;
  return description.fileSize === file.size && description.modified === modifiedOf(file);
}

/**
 * Whether others have touched the file that a description fits. They may have overwritten it and set its mtime back,
 * which only ctime tells: the generation does not stand for its content then.
 */
export function isTouched(description: Description, file: FileIdentity): boolean {
  const { version, run, changed } = description;
  if (version === undefined || run !== undefined || changed === undefined) return false;
  return changed !== changedOf(file);
}

/** What a sidecar has on this file: across a replacement it has two descriptions, of which one fits at most. */
export function describe(sidecar: Sidecar | undefined, file: FileIdentity): Description | undefined {
  return sidecar?.descriptions.find((description) => describes(description, file));
}

/**
 * The state of a described file that no run is changing. Where its last run did not say how far it came, a new epoch
 * begins, which that run can't have shown to anyone.
 */
export function stateOf({ generation, epoch, version }: Description): ContentState {
  return version === undefined ? { generation, epoch: epoch + 1, version: 0 } : { generation, epoch, version };
}

/** A file's mtime as descriptions have it: nanoseconds since 1970, in decimal. */
export function modifiedOf(file: FileIdentity): string {
  return String(modifiedAt(file));
}

/** A file's ctime as descriptions have it: nanoseconds since 1970, in decimal. */
export function changedOf(file: FileIdentity): string {
  return String(changedAt(file));
}

/** Describes a file that nobody has changed in place. */
export function newDescription(file: FileIdentity, generation: string, contentType?: string): Description {
  const unchanged = { epoch: 0, version: 0, run: undefined, size: file.size, cut: false };
  return { ...traitsOf(file), generation, contentType, ...unchanged };
}

/** What a description says of a file that nobody is changing. */
export function traitsOf(file: FileIdentity): Pick<Description, 'inode' | 'fileSize' | 'modified' | 'changed'> {
  return { inode: file.inode, fileSize: file.size, modified: modifiedOf(file), changed: changedOf(file) };
}

// Somebody may have removed the state folder. A tree that is gone as well is not made again.
async function makeRegionsFolder(folder: string): Promise<boolean> {
  try {
    return await makeFolder(regionsFolder(folder));
  } catch (error) {
    undefinedWhenMissing(error);
    await makeFolder(folder);
    return makeFolder(regionsFolder(folder));
  }
}

async function writeDurably(path: string, text: string, sync: Sync): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await sync.file(file.fd);
  } finally {
    await file.close();
  }
}

function tryParse(path: string, text: string): Sidecar | DamagedSidecar {
  try {
    const sidecar = parseSidecar(path, text);
    return basename(path) === fileNameOf(sidecar.name) ? sidecar : ofAnother(path);
  } catch (error) {
    if (error instanceof DamagedSidecar) return error;
    throw error;
  }
}

function ofAnother(path: string): DamagedSidecar {
  return new DamagedSidecar(path, new Error('it is of another region'));
}

async function regionFiles(state: string, pattern: RegExp): Promise<string[]> {
  const regions = regionsFolder(state);
  const folder = await opendir(regions, { bufferSize: 1024 }).catch(undefinedWhenMissing);
  const paths: string[] = [];
  // A part in each turn of the event loop: there is one for each region that was ever written.
  for await (const { name } of folder ?? []) if (pattern.test(name)) paths.push(join(regions, name));
  return paths;
}

/** What the sidecar of a region is called. Names hold slashes, and are up to four times as long as a file's name may be. */
export function fileNameOf(name: string): string {
  return `${hash('sha256', name, 'hex').slice(0, 32)}.json`;
}

function sidecarPath(folder: string, name: string): string {
  return `${regionsFolder(folder)}/${fileNameOf(name)}`;
}

/** Where the sidecars of a state folder are. */
export function regionsFolder(folder: string): string {
  return `${folder}/regions`;
}

function randomName(): string {
  return randomBytes(8).toString('hex');
}

function undefinedWhenMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
