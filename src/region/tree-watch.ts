/** Whether the path that a tree was opened by still leads to it. @module */
import { statSync } from 'node:fs';
import type { Tree } from '../relay/relay.ts';
import { unlessFailed } from './unless-failed.ts';

/** Requests have it looked at so often, at most. */
const restMilliseconds = 20;

/** And so often it is looked at without a request. */
const pollMilliseconds = 250;

/** What a watch does about a tree that its path leads past. */
export type OnMoved = {
  /** Opens what the path leads to now, in place of the tree; undefined where the service is bound to the one it has. */
  readonly follow: ((path: string) => Tree) | undefined;
  /** Is told what someone who reads the log should know of. */
  readonly report: (message: string, details: Record<string, unknown>) => void;
};

/**
 * Looks whether the path of `--dir` still leads to the tree: somebody may switch a link, rename a folder, or mount over
 * it. A tree that is only read is followed. One that is written to is not, for lock, sidecars and recovery belong to
 * it.
 */
export class TreeWatch {
  /** Whether the path led to the tree when it was looked at last. */
  wasThere = true;
  readonly #path: string;
  readonly #onMoved: OnMoved;
  readonly #timer: NodeJS.Timeout;
  #identity: string | undefined;
  #looked = performance.now();

  /** @param tree has just been opened by `path` */
  constructor(tree: Tree, path: string, onMoved: OnMoved) {
    this.#path = path;
    this.#onMoved = onMoved;
    this.#identity = identityOf(tree.root);
    this.#timer = setInterval(() => this.isThere(), pollMilliseconds).unref();
  }

  /** Looks unless that was done just now. */
  look(): void {
    if (performance.now() - this.#looked >= restMilliseconds) this.isThere();
  }

  /** Looks, and follows where that can be done. Whether the path leads to the tree that is open by then. */
  isThere(): boolean {
    this.#looked = performance.now();
    const found = identityOf(this.#path);
    const isThere = found === this.#identity;
    if (!isThere && found !== undefined && this.#follow()) {
      this.wasThere = true;
      this.#report('the path of the tree leads to another one, which is served from now on');
    } else if (isThere !== this.wasThere) {
      this.wasThere = isThere;
      this.#report(isThere ? 'the path of the tree leads to it again' : this.#leadsAway());
    }
    return this.wasThere;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #follow(): boolean {
    const tree = unlessFailed(() => this.#onMoved.follow?.(this.#path));
    if (tree) this.#identity = identityOf(tree.root);
    return tree !== undefined;
  }

  #report(message: string): void {
    this.#onMoved.report(message, { dir: this.#path });
  }

  #leadsAway(): string {
    const then = this.#onMoved.follow
      ? 'is not ready, and serves the tree that it has opened, until the path leads to one again'
      : 'is not ready, changes nothing, and serves the tree that it has opened: start it again for the other one';
    return `the path of the tree does not lead to it any more: the service ${then}`;
  }
}

/** Names a folder; undefined where the path leads to none. */
function identityOf(path: string): string | undefined {
  try {
    const status = statSync(path, { bigint: true });
    return status.isDirectory() ? `${status.dev}:${status.ino}` : undefined;
  } catch {
    return undefined;
  }
}
