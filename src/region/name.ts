const maxNameBytes = 1024;
// Percent-encoding makes three characters of a byte at most.
const maxEncodedLength = 3 * maxNameBytes;
const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/**
 * Reads a region's name from the tail of a request path, decoding percent escapes exactly once.
 *
 * @param encoded what stands between `/regions/` and `?`, still percent-encoded
 * @returns the decoded name, or undefined for a broken escape, invalid UTF-8 or anything that is no region name
 */
export function parseRegionName(encoded: string): string | undefined {
  if (encoded.length > maxEncodedLength) return undefined;
  const name = decodeOnce(encoded);
  return name !== undefined && isRegionName(name) ? name : undefined;
}

/**
 * Tells whether a decoded name is one or more segments `[A-Za-z0-9_-][A-Za-z0-9._-]*` joined by `/`, of at most 1,024
 * bytes in all. Such a name never leads out of the folder that it is resolved in.
 */
export function isRegionName(name: string): boolean {
  return name.length <= maxNameBytes && namePattern.test(name);
}

function decodeOnce(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
