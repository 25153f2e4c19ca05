/** Writing to descriptors that may block for ever, such as a pipe that nobody reads, without waiting for them. @module */
import { closeSync, constants, openSync, write as writeFd } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errnoName, loadShim, type Shim, type ShimLog } from '../relay/shim.ts';

const writeToFd = promisify(writeFd);
const retryMilliseconds = 20;

/** A log of the shim, and how it is with the lines of lanes. */
export type NativeLog = { readonly log: ShimLog; readonly state: () => ReturnType<Shim['logState']> };

/** How far a write came. */
export type Written = {
  readonly bytes: number;
  /** Why not further, such as `ENOSPC`; undefined when everything was written. */
  readonly error: string | undefined;
};

/**
 * Writes to one descriptor, a piece at a time. Its flags stay, for it is shared: O_NONBLOCK would surprise other
 * processes.
 */
export type Descriptor = {
  /** Does not reject. Call it again only when it has resolved, which may be never. */
  write(bytes: Uint8Array): Promise<Written>;
  /** Goes on in another file, which is its own from here on, and closes the one before. */
  reopen(fd: number): void;
  /** Whether a write that does not return keeps `process.exit` from returning, too. */
  readonly holdsExit: boolean;
  /** The same descriptor for lanes, which add lines of their own; undefined without the shim. */
  readonly native?: NativeLog;
};

/** Opens a file for appending; of a pipe, the reader has to be there. @throws Error with a `code` */
export function openLogFile(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0o666);
}

/** A descriptor of this process, written by a thread of its own where the shim is there, else by libuv's pool. */
export function openDescriptor(fd: number): Descriptor {
  const verdict = loadShim();
  return ('shim' in verdict ? byThread(verdict.shim, fd) : undefined) ?? byPool(fd);
}

function byThread(shim: Shim, fd: number): Descriptor | undefined {
  let tell: (written: Written) => void = () => {};
  const log = shim.openLog(fd, (bytes, errno) => tell({ bytes, error: errno < 0 ? errnoName(errno) : undefined }));
  if (typeof log === 'number') return undefined;
  return {
    holdsExit: false,
    native: { log, state: () => shim.logState(log) },
    reopen: (next) => void shim.openLog(next, log),
    write(bytes) {
      const { promise, resolve } = Promise.withResolvers<Written>();
      tell = resolve;
      const result = shim.writeLog(log, bytes);
      if (result < 0) resolve({ bytes: 0, error: errnoName(result) });
      return promise;
    },
  };
}

/** At its exit a process waits for the threads of libuv's pool, and one of them may be in a write here. */
export function byPool(fd: number): Descriptor {
  let file = fd;
  let writing: number | undefined;
  return {
    holdsExit: true,
    async write(bytes) {
      writing = file;
      const written = await writeAll(writing, bytes);
      if (file !== writing) closeSync(writing);
      writing = undefined;
      return written;
    },
    reopen(next) {
      if (file !== writing) closeSync(file);
      file = next;
    },
  };
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<Written> {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += (await writeToFd(fd, bytes, done, bytes.length - done, null)).bytesWritten;
    } catch (error) {
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') return { bytes: done, error: code };
      await delay(retryMilliseconds, undefined, { ref: false });
    }
  }
  return { bytes: done, error: undefined };
}
