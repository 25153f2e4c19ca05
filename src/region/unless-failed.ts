/** System calls that may fail where nothing is wrong. @module */
import { missing } from '../relay/file-identity.ts';
import { SystemError } from '../relay/relay.ts';

const missingOrForbidden: ReadonlySet<string> = new Set([...missing, 'EACCES', 'EPERM']);

/** What `act` gives; undefined where it fails with a SystemError, of one of these codes if there are any. */
export function unlessFailed<Result>(act: () => Result, codes?: ReadonlySet<string>): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof SystemError && (codes?.has(error.code) ?? true)) return undefined;
    throw error;
  }
}

/** What a look gives; undefined where there is no region, or one that the service may not look at. */
export function unlessMissing<Result>(look: () => Result): Result | undefined {
  return unlessFailed(look, missingOrForbidden);
}
