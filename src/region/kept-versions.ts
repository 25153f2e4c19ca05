/** Versions of regions that were replaced, and go on being served under their own URLs for a while. @module */
import { LRUCache } from 'lru-cache';
import { descriptorLimit } from '../relay/descriptors.ts';
import { isSameFile, modifiedAt } from '../relay/file-identity.ts';
import type { FileIdentity, Generation, JudgedContent, Relay } from '../relay/relay.ts';
import type { Region } from './region.ts';
import { unlessFailed } from './unless-failed.ts';

/** How long versions are kept, and how many bytes all of them may have together. */
export type KeptLimits = { readonly seconds: number; readonly bytes: number };

/** How many descriptors one version can take: its own, and that of the link which the service keeps to its file. */
const descriptorsOfOne = 2;

/** How many versions are kept at most: a sixteenth of the process's descriptors are for them. */
const mostKept = Math.max(1, Math.min(1024, Math.floor(descriptorLimit() / 16 / descriptorsOfOne)));

/** How many descriptors all of them can take. */
export const mostDescriptors: number = mostKept * descriptorsOfOne;

type Kept = { readonly region: Region; readonly ended: PromiseWithResolvers<void> };

/**
 * Keeps files open that have lost their names to others. Nothing of them is kept that anybody changes: a version is let go
 * when its file is not what it was any more, when its time is over, or when others need the room.
 */
export class KeptVersions {
  /** Milliseconds; tests have another one. */
  clock: { now(): number } = performance;
  readonly #relay: Relay;
  readonly #bytes: number;
  readonly #kept: LRUCache<string, Kept>;
  #isClosed = false;

  constructor(relay: Relay, { seconds, bytes }: KeptLimits) {
    this.#relay = relay;
    this.#bytes = bytes;
    this.#kept = new LRUCache<string, Kept>({
      max: mostKept,
      maxSize: bytes,
      sizeCalculation: ({ region }) => Math.max(1, region.content.generation.size),
      ttl: Math.ceil(seconds * 1000),
      ttlAutopurge: true,
      ttlResolution: 0,
      perf: { now: () => this.clock.now() },
      dispose: ({ region, ended }) => {
        if (!relay.isClosed) relay.closeGeneration(region.content.generation);
        ended.resolve();
      },
    });
  }

  /** How many there are. */
  get count(): number {
    return this.#kept.size;
  }

  /** How many bytes they have together. */
  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  /**
   * Keeps a region whose name another file has by now. Gives the generation that it is kept by; undefined where its file is
   * not as the region was, or there is no room for it.
   *
   * @param file an opening of its file, which stays the caller's
   */
  take(region: Region, file: Generation): Generation | undefined {
    if (this.#isClosed || region.content.generation.size > this.#bytes) return undefined;
    const generation = unlessFailed(() => this.#relay.openAgain(file));
    if (!generation) return undefined;
    const { epoch, version } = region.content;
    const content = unlessFailed(() => this.#relay.judge(generation, epoch, version));
    if (!content || !isSameContent(region.content, content) || !this.#relay.isSettled(content)) {
      this.#relay.closeGeneration(generation);
      return undefined;
    }
    const kept = { region: { ...region, content }, ended: Promise.withResolvers<void>() };
    this.#kept.set(keyOf(region.name, region.etag), kept);
    return generation;
  }

  /** The version of a region that has this entity-tag, if it is kept and nobody has touched its file. */
  find(name: string, etag: string): Region | undefined {
    const key = keyOf(name, etag);
    const region = this.#kept.get(key)?.region;
    if (!region || this.#isUntouched(region)) return region;
    this.#kept.delete(key);
    return undefined;
  }

  /** Resolves when no version is kept that this file holds. */
  async endOf(file: FileIdentity): Promise<void> {
    const ofFile = [...this.#kept.values()].filter(({ region }) => isSameFile(region.content.generation, file));
    await Promise.all(ofFile.map(({ ended }) => ended.promise));
  }

  /** Lets go of all versions of a region: there is none of its name any more. */
  forget(name: string): void {
    for (const [key, { region }] of [...this.#kept]) if (region.name === name) this.#kept.delete(key);
  }

  /** Lets go of the one that nobody has asked for for longest. Whether there was one. */
  letOneGo(): boolean {
    return this.#kept.pop() !== undefined;
  }

  /** Lets go of all. */
  clear(): void {
    this.#kept.clear();
  }

  /** Lets go of all, and keeps none any more. */
  close(): void {
    this.#isClosed = true;
    this.clear();
  }

  #isUntouched({ content }: Region): boolean {
    return this.#relay.isSettled(content) && this.#relay.isUnchanged(content.generation);
  }
}

function keyOf(name: string, etag: string): string {
  return `${etag} ${name}`;
}

// Its ctime has moved when it lost its name; and a region that is shorter than its file is to be cut.
function isSameContent(before: JudgedContent, now: JudgedContent): boolean {
  const [one, other] = [before.generation, now.generation];
  const isSameVersion = before.epoch === now.epoch && before.version === now.version;
  const isSameBytes = one.size === other.size && modifiedAt(one) === modifiedAt(other);
  return isSameVersion && isSameBytes && isSameFile(one, other);
}
