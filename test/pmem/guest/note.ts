import { appendFileSync } from 'node:fs';

/** Brings back more than that a test has passed: it stands in the host's results.json. */
export function note(what: string, findings: object): void {
  const file = process.env.PAGERELAY_PMEM_FINDINGS;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ what, ...findings })}\n`);
}
