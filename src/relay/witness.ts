/** Which engines send pages without a copy, seen on this machine and not concluded from its kernel's version. @module */
import { dirname } from 'node:path';
import type { Backing, Engine, Tree } from './relay.ts';
import { errnoName, type OpenedFile, type ScratchKind, type Shim } from './shim.ts';

/** `true`: the pages themselves are sent. `false`: they are copied. `null`: nobody could see, or it can't send at all. */
export type Verdict = boolean | null;

/** What was seen of each engine on one backing. */
export type Verdicts = Readonly<Record<Engine, Verdict>>;

/** What is known where no experiment could be run. */
export const unseen: Verdicts = { sendfile: null, splice: null, zerocopy: null, copy: false, stream: false };

const tried = ['sendfile', 'splice', 'zerocopy'] as const;

/** Runs the experiment once per backing and device, on scratch pages of the same kind: never on what is served. */
export class Witness {
  readonly #shim: Shim;
  readonly #seen = new Map<string, Verdicts>();
  readonly #claimed: Partial<Record<Engine, Verdict>>;

  /** @param claimed for tests: what the witness says of an engine, whatever it sees */
  constructor(shim: Shim, claimed: Partial<Record<Engine, Verdict>> = {}) {
    this.#shim = shim;
    this.#claimed = claimed;
  }

  /** What was seen on the backing and the device of a generation that was opened by this path. */
  of(generation: OpenedFile, tree: Tree | undefined, path: string): Verdicts {
    const key = `${generation.backing}:${generation.device}`;
    let verdicts = this.#seen.get(key);
    if (!verdicts) {
      verdicts = this.#try(generation.backing, tree ? `${tree.path}/${dirname(path)}` : dirname(path));
      this.#seen.set(key, verdicts);
    }
    return verdicts;
  }

  /** All that was seen so far, by backing. */
  list(): readonly { readonly backing: Backing; readonly verdicts: Verdicts }[] {
    return [...this.#seen].map(([key, verdicts]) => ({ backing: key.slice(0, key.indexOf(':')) as Backing, verdicts }));
  }

  #try(backing: Backing, folder: string): Verdicts {
    const scratch = scratchOf[backing];
    const verdicts: Record<Engine, Verdict> = { ...unseen };
    for (const engine of scratch ? tried : []) {
      if (scratch) verdicts[engine] = verdictOf(this.#shim.witnessCopyFree(scratch, folder, engine));
    }
    return { ...verdicts, ...this.#claimed };
  }
}

// A devdax device that is in use has no pages to spare.
const scratchOf: Record<Backing, ScratchKind | undefined> = {
  fsdax: 'folder',
  devdax: undefined,
  hugetlb: 'hugetlb',
  tmpfs: 'folder',
  memfd: 'memfd',
  pagecache: 'folder',
};

/** What a result of the shim's experiment means. */
export function verdictOf(result: number): Verdict {
  return result < 0 ? null : result === 1;
}

/** Why there is no verdict: an errno by name; undefined where there is one. */
export function failureOf(result: number): string | undefined {
  return result < 0 ? errnoName(result) : undefined;
}
