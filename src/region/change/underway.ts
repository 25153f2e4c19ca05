import { Pending } from '../../relay/pending.ts';

/** Changes that are on their way: they have ended before the store is closed. */
export class Underway extends Pending {
  /** How overwrites in place have ended. */
  readonly overwrites = { done: 0, failed: 0 };
  /** Nothing new is begun. */
  isClosing = false;

  override ended(): Promise<void> {
    this.isClosing = true;
    return super.ended();
  }
}
