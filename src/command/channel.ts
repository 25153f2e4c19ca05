/** What two processes of the service have to say to each other while one takes the other's place. @module */
import type { ChildProcess, SendHandle } from 'node:child_process';
import type { ForwardedAnswer, ForwardedRequest } from '../http/write/forwarding.ts';
import type { PagesAsked } from '../region/change/predecessor.ts';
import type { FileKey } from '../relay/file-identity.ts';
import type { Given } from '../takeover.ts';

/** In the order in which they usually come. */
export type Message =
  /** The one that comes could answer now, and change this tree. */
  | { readonly kind: 'ready'; readonly tree: FileKey | undefined }
  /** The one that goes answers no more: the other one shall. */
  | { readonly kind: 'take'; readonly given: Given }
  /** It knows what it was told, and waits to be told to begin. */
  | { readonly kind: 'taken' }
  /** It answers from here on. */
  | { readonly kind: 'go' }
  /** It has locked the tree for what the other one sends, too. */
  | { readonly kind: 'locked' }
  /** It shall end: the other one goes on as before. */
  | { readonly kind: 'stop' }
  /** A connection comes with it: by which listener it came, and what was read of it and not answered. */
  | { readonly kind: 'connection'; readonly by: string; readonly unanswered: Uint8Array }
  /** A change that was asked of the one that goes, and what it is answered. */
  | { readonly kind: 'request'; readonly id: number; readonly request: ForwardedRequest }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: ForwardedAnswer }
  /** The one that has come is to change pages; it may, or nobody can tell when; it has. */
  | { readonly kind: 'lease'; readonly id: number; readonly pages: PagesAsked }
  | { readonly kind: 'leased'; readonly id: number; readonly had: boolean }
  | { readonly kind: 'end'; readonly id: number }
  /** The one that goes sends no page of these files any more. */
  | { readonly kind: 'released'; readonly files: readonly FileKey[] }
  /** Nor any page at all, and ends. */
  | { readonly kind: 'bye' };

export type Kind = Message['kind'];
type Of<K extends Kind> = Extract<Message, { kind: K }>;
type Listener = (message: never, handle: object | undefined) => void;

/** One end of what Node has between a process and its child. */
export class Channel {
  readonly #end: ChildProcess | NodeJS.Process;
  readonly #listeners = new Map<Kind, Listener>();
  /** Resolves when nothing comes any more. */
  readonly closed: Promise<void>;

  constructor(end: ChildProcess | NodeJS.Process) {
    this.#end = end;
    this.closed = new Promise((resolve) => end.once('disconnect', resolve));
    end.on('message', (message: Message, handle?: object) =>
      this.#listeners.get(message.kind)?.(message as never, handle),
    );
  }

  /** It keeps this process from ending no more. */
  unref(): void {
    this.#end.channel?.unref();
  }

  /** One listener for each kind. */
  on<K extends Kind>(kind: K, listener: (message: Of<K>, handle: object | undefined) => void): void {
    this.#listeners.set(kind, listener as Listener);
  }

  /** Resolves with the first of a kind; undefined where the channel closes before. */
  next<K extends Kind>(kind: K): Promise<Of<K> | undefined> {
    const come = new Promise<Of<K>>((resolve) => this.on(kind, resolve));
    return Promise.race([come, this.closed.then(() => undefined)]);
  }

  /** Resolves when the message is out. Rejects where nobody is there to get it. */
  send(message: Message, handle?: object): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#end.send || !this.#end.connected) {
        reject(new Error('the other process has gone'));
        return;
      }
      void this.closed.then(() => reject(new Error('the other process has gone'))); // Then Node does not say it.
      // By a handle itself Node sends the descriptor, and closes nothing here.
      this.#end.send(message, handle as SendHandle | undefined, {}, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Like `send`, where it does not matter whether anybody is there. */
  tell(message: Message): void {
    this.send(message).catch(() => {});
  }

  /** Nothing comes any more. */
  close(): void {
    if (this.#end.connected) this.#end.disconnect?.();
  }
}
