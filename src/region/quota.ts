import { Refusal } from './refusal.ts';

/** Counts the bytes of a tree's regions against what they may be in all. */
export class Quota {
  readonly #most: number;
  #used = 0;

  /** @param most bytes; Infinity for no quota */
  constructor(most: number) {
    this.#most = most;
  }

  /** Bytes. */
  get used(): number {
    return this.#used;
  }

  /** @throws Refusal `no-space` when so many bytes can't be set aside */
  check(bytes: number): void {
    if (this.#used + bytes > this.#most) throw new Refusal('no-space', 'The quota is used up.');
  }

  /** Sets bytes aside. @throws Refusal `no-space` */
  take(bytes: number): void {
    this.check(bytes);
    this.#used += bytes;
  }

  /** Counts bytes that are there, whatever the quota. */
  found(bytes: number): void {
    this.#used += bytes;
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#used = Math.max(0, this.#used - bytes);
  }
}
