import { Refusal } from './refusal.ts';

/** Counts the bytes of a tree's regions, and of what is being received for them, against what they may be in all. */
export class Quota {
  /** Bytes. */
  used = 0;
  readonly #most: number;
  readonly #regions = new Map<string, number>();

  /** @param most bytes; Infinity for no quota */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether there is a quota. */
  get isLimited(): boolean {
    return this.#most !== Number.POSITIVE_INFINITY;
  }

  /** What each region is counted as. */
  counted(): [name: string, bytes: number][] {
    return [...this.#regions];
  }

  /** @throws Refusal `no-space` when so many more bytes can't be had */
  check(bytes: number): void {
    if (this.used + bytes > this.#most) throw new Refusal('no-space', 'The quota is used up.');
  }

  /** Sets bytes aside for something on its way. @throws Refusal `no-space` */
  take(bytes: number): void {
    this.check(bytes);
    this.used += bytes;
  }

  /** Gives back what was set aside. */
  give(bytes: number): void {
    this.used -= bytes;
  }

  /** A region has so many bytes from now on, whatever the quota; undefined: there is none of this name any more. */
  set(name: string, bytes: number | undefined): void {
    this.used += (bytes ?? 0) - (this.#regions.get(name) ?? 0);
    if (bytes === undefined) this.#regions.delete(name);
    else this.#regions.set(name, bytes);
  }

  /** @throws Refusal `no-space` when a region can't have so many bytes */
  checkSize(name: string, bytes: number): void {
    this.check(bytes - (this.#regions.get(name) ?? 0));
  }
}
