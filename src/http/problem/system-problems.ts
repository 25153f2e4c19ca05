import { Refusal } from '../../region/change/refusal.ts';
import { SystemError } from '../../relay/relay.ts';
import { type ProblemCode, ProblemError } from './problems.ts';

// What a region's file can fail with. Nothing is there, or nothing that has pages, or it is out of the tree (EXDEV).
const codes: Record<string, ProblemCode> = {
  ENOENT: 'region-not-found',
  ENOTDIR: 'region-not-found',
  EISDIR: 'region-not-found',
  ELOOP: 'region-not-found',
  ENAMETOOLONG: 'region-not-found',
  EXDEV: 'region-not-found',
  EINVAL: 'region-not-found',
  ENXIO: 'region-not-found',
  ENODEV: 'region-not-found',
  EACCES: 'region-forbidden',
  EPERM: 'region-forbidden',
  EMFILE: 'busy',
  ENFILE: 'busy',
  ENOMEM: 'busy',
  ENOBUFS: 'busy',
  EAGAIN: 'busy',
  ETOOMANYREFS: 'overloaded', // what more may not be held
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
};

/** The answer to a failed system call, or a refused change; anything else is given back as it is. */
export function problemOfSystem(error: unknown): unknown {
  if (error instanceof Refusal) return new ProblemError(error.code, { detail: error.message, cause: error });
  if (error instanceof SystemError) return new ProblemError(codes[error.code] ?? 'internal', { cause: error });
  const code = error instanceof Error && 'syscall' in error && 'code' in error ? codes[String(error.code)] : undefined;
  return code === undefined ? error : new ProblemError(code, { cause: error });
}
