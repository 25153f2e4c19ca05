/**
 * What a region's content is identified by: its generation, and how far that was changed in place. Epoch (one service
 * run) and version (one change) are both 0 while it never was.
 */
export type ContentState = { readonly generation: string; readonly epoch: number; readonly version: number };

/**
 * Names the generation of a file that others made: equal for copies of equal size and modification time, whatever the
 * node or the inode.
 *
 * @param size in bytes
 * @param mtimeNs nanoseconds since 1970; negative before it
 * @returns both in hexadecimal, modification time first, joined by `-`
 */
export function generationOfFile(size: bigint, mtimeNs: bigint): string {
  return `${mtimeNs.toString(16)}-${size.toString(16)}`;
}

/**
 * Makes the strong entity-tag (RFC 9110 8.8.3), with its quotes: the generation alone while its content was never
 * changed in place, after that `generation.epoch.version`.
 */
export function etagOf(state: ContentState): string {
  const { generation, epoch, version } = state;
  return epoch === 0 && version === 0 ? `"${generation}"` : `"${generation}.${epoch}.${version}"`;
}
