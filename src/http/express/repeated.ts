/** Requests that have come lately. @module */

/** So many that are different. One costs as much memory as its head. */
const most = 64;

/** Tells which requests come again: who never asks for the same twice is not worth a grant. */
export class Repeated {
  readonly #requests = new Set<string>();

  /** Whether it is among the last different ones; from now on it is. */
  has(request: string): boolean {
    const known = this.#requests.delete(request);
    this.#requests.add(request);
    if (this.#requests.size > most) this.#forgetOldest();
    return known;
  }

  #forgetOldest(): void {
    for (const oldest of this.#requests) {
      this.#requests.delete(oldest);
      return;
    }
  }
}
