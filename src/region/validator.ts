import { hash } from 'node:crypto';

/**
 * Identifies a region's content: its generation, and how far that was changed in place. Epoch (a service run) and
 * version (a change in it) are 0 while it never was.
 */
export type ContentState = { readonly generation: string; readonly epoch: number; readonly version: number };

/** What the generation of a file that others made is told by. Times in nanoseconds since 1970, negative before it. */
export type FileTraits = {
  readonly inode: number | undefined;
  /** Bytes. */
  readonly size: number;
  readonly modified: bigint;
  readonly changed: bigint | undefined;
};

// 22 digits of base64url are 132 bits. S3 clients take 32 hexadecimal digits for an MD5 of the content.
const digits = 22;

/**
 * Names the generation of a file that others made by a hash of its traits, which nobody takes for a digest of the
 * content.
 */
export function generationOfFile({ inode, size, modified, changed }: FileTraits): string {
  return hash('sha256', `${inode ?? ''} ${size} ${modified} ${changed ?? ''}`, 'base64url').slice(0, digits);
}

/** What `etagOf` has made an entity-tag of, at an epoch and a version. */
export function contentOfEtag(etag: string, epoch: number, version: number): ContentState {
  const behind = epoch === 0 && version === 0 ? '"' : `.${epoch}.${version}"`;
  return { generation: etag.slice(1, -behind.length), epoch, version };
}

/**
 * Makes the strong entity-tag (RFC 9110 8.8.3) with its quotes: `generation`, or after a change in place
 * `generation.epoch.version`.
 */
export function etagOf(state: ContentState): string {
  const { generation, epoch, version } = state;
  return epoch === 0 && version === 0 ? `"${generation}"` : `"${generation}.${epoch}.${version}"`;
}
