/** Files, looked at without the shim. @module */
import { type BigIntStats, lstatSync, realpathSync } from 'node:fs';
import { constants as system } from 'node:os';
import { sep } from 'node:path';
import { identityOf } from './file-identity.ts';
import { type FileIdentity, SystemError, type Tree } from './relay.ts';

/** What an act gives, or a SystemError of its errno. */
export function attempt<Result>(what: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (error instanceof SystemError) throw error;
    throw new SystemError((error as NodeJS.ErrnoException).code ?? 'EIO', what, error);
  }
}

/** A path, in a tree or anywhere. Links are followed first and judged after: what they lead to must be in the tree. */
export function inside(tree: Tree | undefined, path: string): string {
  if (!tree) return path;
  const real = attempt(path, () => realpathSync(`${tree.path}${sep}${path}`));
  if (!real.startsWith(tree.path + sep)) throw new SystemError('EXDEV', path);
  return real;
}

/** What a path is by itself, links not followed; of what is no regular file a negated errno. */
export function identifyItself(path: string): FileIdentity | number {
  try {
    const status = lstatSync(path, { bigint: true });
    if (status.isFile()) return identityOf(status);
    return -(status.isSymbolicLink() ? system.errno.ELOOP : system.errno.EINVAL);
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno ?? -system.errno.EIO;
  }
}

/** What a regular file is. @throws SystemError EINVAL for anything else */
export function regularFile(status: BigIntStats, what: string): FileIdentity {
  if (!status.isFile()) throw new SystemError('EINVAL', what);
  return identityOf(status);
}
