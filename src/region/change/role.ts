/** Who changes the regions of a tree: this process, until another one takes its place. @module */

/** What was asked for is for the process that takes this one's place, or will be as soon as it is known who that is. */
export class NotOurs extends Error {
  override readonly name = 'NotOurs';
}

/** What this process answers for, reading or writing, and can hand over to another one. */
export class Role {
  /** Why it can't be handed over: a change has left what only a new start can put right. */
  stuckBecause: string | undefined;
  #isOurs = true;
  #underway = 0;
  #onIdle: (() => void) | undefined;
  #leaving = new AbortController();
  #outcome = Promise.withResolvers<boolean>();

  /** Whether it is this process that does it. */
  get isOurs(): boolean {
    return this.#isOurs;
  }

  /** Is aborted when the role is about to be handed over: nobody waits for anything on its account any more. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** @throws NotOurs */
  check(): void {
    if (!this.#isOurs) throw new NotOurs();
  }

  /** Something begins that has to end here; `leave` says that it has. @throws NotOurs */
  enter(): void {
    this.check();
    this.#underway++;
  }

  /** After `enter`. */
  leave(): void {
    this.#underway--;
    if (this.#underway === 0) this.#onIdle?.();
  }

  /** Runs `act` between `enter` and `leave`. @throws NotOurs */
  async during<Result>(act: () => Promise<Result>): Promise<Result> {
    this.enter();
    try {
      return await act();
    } finally {
      this.leave();
    }
  }

  /** Begins nothing more. Resolves when nothing goes on that has begun. */
  async stop(): Promise<void> {
    this.#isOurs = false;
    this.#leaving.abort(new NotOurs());
    if (this.#underway > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    this.#onIdle = undefined;
  }

  /** After `stop`: whether another process has the role now. Else it is this one's as before. */
  settle(isSucceeded: boolean): void {
    const { resolve } = this.#outcome;
    if (!isSucceeded) {
      this.#isOurs = true;
      this.#leaving = new AbortController();
      this.#outcome = Promise.withResolvers();
    }
    resolve(isSucceeded);
  }

  /** For whoever was told `NotOurs`: whether another process has the role, as soon as that is known. */
  whetherSucceeded(): Promise<boolean> {
    return this.#isOurs ? Promise.resolve(false) : this.#outcome.promise;
  }
}
