/**
 * Compares strings by their code points, as the bytes of their UTF-8 would. JavaScript compares UTF-16, which differs
 * where surrogates meet U+E000 to U+FFFF.
 */
export function compareBytes(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rankOf(a) - rankOf(b);
  }
  return left.length - right.length;
}

// Surrogates are moved behind all other code units.
function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** The place of the first of some sorted strings that is not below `bound`. */
export function firstFrom(sorted: readonly string[], bound: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(sorted[middle] ?? '', bound) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
