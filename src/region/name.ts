/** What regions can be called, and how a name stands in an address. @module */
import { stateFolder } from './state-folder.ts';

/** Bytes of UTF-8. */
export const longestName = 1024;
// Percent-encoding makes three characters of a byte at most.
const longestEncoded = 3 * longestName;
// ASCII that stands for itself.
const plain = /^[\x20-\x22\x24\x26-\x7e]*$/;

/** Whether segments may begin with a dot. */
export const dotfileRules = ['allow', 'deny'] as const;
export type Dotfiles = (typeof dotfileRules)[number];

/** A segment that is empty, `.` or `..`. */
const badSegment = /(?:^|\/)\.{0,2}(?:\/|$)/;
const dotSegment = /(?:^|\/)\./;

/**
 * Whether a region can have a decoded name: segments joined by `/`, of at most 1,024 bytes of UTF-8 in all. No segment
 * is empty, `.` or `..`, or contains NUL, and the first is not `.pagerelay`. So it never leads out of its folder.
 *
 * @param dotfiles `deny`: nor does any segment begin with a dot
 */
export function isRegionName(name: string, dotfiles: Dotfiles = 'allow'): boolean {
  if (name.length > longestName || Buffer.byteLength(name) > longestName) return false;
  if (badSegment.test(name) || name.includes('\0') || !name.isWellFormed()) return false;
  if (name === stateFolder || name.startsWith(`${stateFolder}/`)) return false;
  return dotfiles === 'allow' || !dotSegment.test(name);
}

/**
 * Decodes what stands between `/regions/` and `?`, exactly once. Bytes beyond ASCII, which Node gives as one character
 * each, count as if they were escaped.
 *
 * @returns undefined for a broken escape, for what is not UTF-8, and for more than a name can have
 */
export function decodeName(encoded: string): string | undefined {
  if (plain.test(encoded)) return encoded.length > longestEncoded ? undefined : encoded;
  // A fragment is no part of a request's target (RFC 9112 3.2).
  if (encoded.length > longestEncoded || encoded.includes('#')) return undefined;
  try {
    return decodeURIComponent(encoded.replace(/[\x80-\xff]/g, escapeByte));
  } catch {
    return undefined;
  }
}

/** The name as it stands in an address: escaped, but for what a path may hold (RFC 3986 3.3) and no shell minds. */
export function encodeName(name: string): string {
  return encodeURIComponent(name)
    .replace(/%(?:2F|3A|3D|40|2B|2C)/g, decodeURIComponent)
    .replace(/[!'()*]/g, escapeByte);
}

/** A byte, which stands for itself as a character, percent-encoded. */
export function escapeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
