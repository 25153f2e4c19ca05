/** Why a change of a region is refused; each is a problem code of its own (http/problem/problems.ts). */
export type RefusalCode =
  | 'bad-name'
  | 'bad-range'
  | 'name-conflict'
  | 'no-space'
  | 'range-busy'
  | 'region-not-found'
  | 'other-writer'
  | 'tree-moved'
  | 'lease-not-found';

/** A change that can't be made, or not now. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;

  constructor(code: RefusalCode, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const full: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const inTheWay: ReadonlySet<unknown> = new Set(['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'EXDEV']);

/** Whether an error says that a file system has no room. */
export function isFull(error: unknown): boolean {
  return full.has(codeOf(error));
}

/** A file system's error as the refusal that it means; anything else is given back as it is. */
export function refusalOf(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof Refusal) return error;
  if (full.has(code)) return new Refusal('no-space', 'There is no room for it.', error);
  if (code === 'ENAMETOOLONG') return new Refusal('bad-name', 'The file system takes no segment so long.', error);
  if (inTheWay.has(code)) return new Refusal('name-conflict', 'Another region or a file system is in the way.', error);
  return error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
