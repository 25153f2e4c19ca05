/**
 * Reads digits as a position or size in bytes; above 2^53 - 1, beyond every region, they would be rounded and become
 * that.
 */
export function saturate(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/** Whether a number is above another, by the digits themselves: two numbers that saturate could look equal. */
export function exceeds(left: string, right: string): boolean {
  const a = left.replace(/^0+/, '');
  const b = right.replace(/^0+/, '');
  return a.length === b.length ? a > b : a.length > b.length;
}
