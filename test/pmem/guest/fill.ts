/** What can only be written through a mapping. @module */
import { execFileSync } from 'node:child_process';

/** Puts whole huge pages into a devdax device or a file on hugetlbfs, which is made. The host has built the program. */
export function fill(path: string, bytes: Uint8Array, offset = 0): void {
  const program = process.env.PAGERELAY_PMEM_FILL;
  if (program === undefined) throw new Error('PAGERELAY_PMEM_FILL names no program: run this by npm run test:pmem');
  execFileSync(program, [path, `${offset}`], { input: bytes });
}
