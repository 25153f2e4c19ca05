/** Having lanes answer for regions (docs/express.md). @module */
import type { FastifyRequest } from 'fastify';
import { planWhole } from '../../range/plan.ts';
import { encodeName } from '../../region/name.ts';
import type { Described, Region, Unopened } from '../../region/region.ts';
import type { BackingEngine } from '../../relay/engine.ts';
import type { LaneAnswers } from '../../relay/lane-answers.ts';
import type { Engine, Tree } from '../../relay/relay.ts';
import { copyingIn } from '../../relay/witness.ts';
import { isForAnyOrigin } from '../cors.ts';
import { arrivedBy } from '../guard/arrived-by.ts';
import { Filling } from './fill.ts';
import { contentFields, type Fields, type GivenFields, validatorFields } from './region-headers.ts';
import { versionUrl } from './version-url.ts';

/** What publishing needs to know of the service. */
export type PublisherOptions = {
  /** Bytes: shorter bodies are copied; and the same of what is the first that is sent on its connection. */
  readonly copyBelow: number;
  readonly copyFirstBelow: number;
  /** The path of a region's file, and the tree that it is in. */
  readonly locate: (name: string) => { readonly tree: Tree | undefined; readonly path: string };
  /** Whether whoever has this Authorization may read; undefined: everybody may. */
  readonly mayRead: ((authorization: string | undefined) => boolean) | undefined;
  /** Is told of a fault that ended publishing ahead of requests. */
  readonly onFault: (error: unknown) => void;
};

// Paths that stand in a request, in a log and in JSON as they are.
const plainPath = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*$/;
/** An entity-tag that stands in a URL as it is. */
const plainTag = /^"[\w\-.~]*"$/;
const printable = /^[\x20-\x7e\r\n]*$/;

/** Characters of fields, beyond what the shim takes. */
const mostText = 32 << 10;

/** Milliseconds: what was published is not published again for so long. Lanes may have dropped it, for want of room. */
const restMilliseconds = 1000;

type Rest = { readonly anyOrigin: boolean; readonly until: number };

/** Hosts, and readers, that lanes can know. */
const mostKnown = 1024;

/** Tells lanes what they may answer by themselves, by whom they may be asked, and who may read. */
export class Publisher {
  readonly #answers: LaneAnswers;
  readonly #options: PublisherOptions;
  readonly #hosts = new Set<string>();
  readonly #readers = new Set<string>();
  #filling: Filling | undefined;
  #prefix = '';
  /** How long it is not to be published again, by path. */
  #published = new WeakMap<Region, Map<string, Rest>>();
  #isOver = false;

  constructor(answers: LaneAnswers, options: PublisherOptions) {
    this.#answers = answers;
    this.#options = options;
  }

  /**
   * Has lanes answer requests like this one for a region, as it is now. Called for a request that every guard has let
   * pass, and that the region can be answered with.
   *
   * @param engines what the region is sent by
   * @param forOrigin what of `given` the request's origin is told, in problems too
   */
  publish(
    request: FastifyRequest,
    region: Region,
    given: GivenFields,
    engines: BackingEngine,
    forOrigin: Fields,
  ): void {
    const anyOrigin = isForAnyOrigin(forOrigin);
    const path = request.raw.url ?? '';
    const paths = this.#published.get(region) ?? new Map<string, Rest>();
    const rest = paths.get(path);
    const isResting = rest?.anyOrigin === anyOrigin && performance.now() < rest.until;
    const isPublished = isResting && !this.#answers.isSuspended;
    // An application that rewrites paths may lead the same one elsewhere next time.
    const isAsAsked =
      isPublished || (request.originalUrl === path && plainPath.test(path) && isUsual(path, region, given));
    if (this.#isOver || !isAsAsked || !this.#introduce(request) || isPublished) return;
    const { generation, epoch, version } = region.content;
    const what = generation.size > 0 && this.#describe(region, given, engines, forOrigin);
    const oneVersion = isOneVersion(given);
    if (
      what &&
      this.#answers.publish({ ...what, path, generation: generation.id, epoch, version, anyOrigin, oneVersion })
    )
      this.#published.set(region, paths.set(path, { anyOrigin, until: performance.now() + restMilliseconds }));
  }

  /**
   * Has lanes answer for regions before they are asked for, as many as they take. Who may ask for them is still told by
   * the first request that Node answers.
   *
   * @param unopened finds the regions
   * @param prefix what stands before their names in a request, by a route that adds nothing of its own to `given`
   * @param engineFor what a region is sent by
   * @param forOrigin as of `publish`
   */
  fillAhead(
    unopened: () => AsyncIterable<readonly Unopened[]>,
    prefix: string,
    given: GivenFields,
    engineFor: (seen: Unopened['seen']) => BackingEngine,
    forOrigin: Fields,
  ): void {
    this.#prefix = prefix;
    this.#filling = new Filling(
      unopened,
      (region) => this.#publishAhead(region, given, engineFor(region.seen), forOrigin),
      this.#options.onFault,
    );
    void this.#filling.start();
  }

  /**
   * A region is changed by the service itself. Lanes that have it open know by its version, and go on at that; whoever opens
   * it later would not where its file is left as it was, and only less of it is served.
   */
  changed(name: string): void {
    if (this.#filling) for (const path of this.#pathsOf(name)) this.#answers.changed(path);
  }

  #pathsOf(name: string): string[] {
    return spellingsOf(name).map((spelling) => `${this.#prefix}${spelling}`);
  }

  #publishAhead(region: Unopened, given: GivenFields, engines: BackingEngine, forOrigin: Fields): boolean {
    const { file, seen, state } = region;
    const { epoch, version } = state;
    // One beyond 2^53 - 1 bytes is Node's, which serves as many of it.
    const what = file.size > 0 && Number.isSafeInteger(file.size) && this.#describe(region, given, engines, forOrigin);
    if (!what) return true;
    const anyOrigin = isForAnyOrigin(forOrigin);
    const seenFile = { ...file, backing: seen.backing, copying: copyingIn(seen.verdicts) };
    return this.#pathsOf(region.name)
      .filter((path) => plainPath.test(path))
      .every((path) =>
        this.#answers.publishAhead({ ...what, path, file: seenFile, epoch, version, anyOrigin, oneVersion: false }),
      );
  }

  // All that is published of a region but its content; undefined where no lane can answer for it.
  #describe(region: Described, given: GivenFields, { engine, large, largeFrom }: BackingEngine, forOrigin: Fields) {
    const { lastModified, etag } = region;
    // A time in the future is told as that of each message (RFC 9110 8.8.2.1).
    const isAhead = lastModified !== undefined && lastModified.getTime() > Date.now();
    if (isAhead || !isOfLanes(engine) || !isOfLanes(large) || !plainTag.test(etag)) return undefined;
    const { copyBelow, copyFirstBelow, locate } = this.#options;
    const { tree, path: name } = locate(region.name);
    const texts = textsOf(region, given, forOrigin);
    const all = Object.values(texts).join('');
    if (!printable.test(all) || all.length > mostText) return undefined;
    return {
      ...{ tree: tree?.id ?? 0, name, etag, lastModified: region.lastModifiedField ?? '', ...texts },
      ...{ engine, large, largeFrom, copyBelow, copyFirstBelow },
    };
  }

  /** Lanes answer for nothing until it is published again. */
  withdraw(): void {
    this.#forget();
    this.#published = new WeakMap();
    this.#answers.withdraw();
    void this.#filling?.start();
  }

  /** They answer for nothing any more, and read nothing. */
  close(): void {
    this.#isOver = true;
    this.#filling?.stop();
    this.#answers.handOverAll();
  }

  // Whether lanes may answer whoever asks like this. Tokens are asked for again: they may have been exchanged since.
  #introduce({ headers, raw }: FastifyRequest): boolean {
    const { mayRead } = this.#options;
    const { host, authorization } = headers;
    if (mayRead && !mayRead(authorization)) return false;
    if (this.#hosts.size >= mostKnown || this.#readers.size >= mostKnown) this.#forget();
    if (mayRead && authorization !== undefined && isNew(this.#readers, authorization)) {
      this.#answers.allowReader(authorization);
    }
    const anyHost = arrivedBy(raw.socket)?.isLoopback === false;
    if (host !== undefined && isNew(this.#hosts, `${anyHost} ${host}`)) this.#answers.allowHost(host, anyHost);
    return true;
  }

  #forget(): void {
    this.#hosts.clear();
    this.#readers.clear();
    this.#answers.forgetAllowed();
  }
}

/**
 * A path can be spelled in very many ways, each of which would take memory. Those that clients use are with all escaped that
 * may be, and with nothing escaped that need not be.
 */
function spellingsOf(name: string): string[] {
  const least = encodeURIComponent(name).replace(/%(?:2F|3A|3D|40|2B|2C|24|26|3B)/g, decodeURIComponent);
  const most = encodeName(name);
  return most === least ? [most] : [most, least];
}

function isOneVersion({ version }: GivenFields): boolean {
  return typeof version === 'string';
}

function isUsual(path: string, { name, etag }: Region, given: GivenFields): boolean {
  const query = isOneVersion(given) ? versionUrl(etag) : '';
  const end = spellingsOf(name)
    .map((spelling) => `${spelling}${query}`)
    .find((each) => path.endsWith(`/${each}`));
  return end !== undefined && !/[%?]/.test(path.slice(0, -end.length));
}

function isNew(known: Set<string>, value: string): boolean {
  const isNew = !known.has(value);
  known.add(value);
  return isNew;
}

function isOfLanes(engine: Engine): boolean {
  return engine !== 'zerocopy' && engine !== 'stream';
}

// As Node would write them, in their order, but for the link to the current version.
function textsOf(region: Described, asked: GivenFields, forOrigin: Fields) {
  const given = isOneVersion(asked) ? asked : { ...asked, version: undefined };
  const plan = planWhole({ size: 0, contentType: given.contentType ?? region.contentType });
  const all = contentFields(region, plan, given);
  const same = Object.keys(validatorFields(region, given)).filter((name) => !ofValidators.has(name));
  const others = Object.keys(all).filter(
    (name) => !same.includes(name) && !ofContent.has(name) && !ofValidators.has(name),
  );
  return {
    fields: linesOf(all, same),
    contentType: linesOf(all, ['content-type']),
    others: linesOf(all, others),
    originFields: linesOf(forOrigin, Object.keys(forOrigin)),
  };
}

// Lanes write them before all others, as Node does.
const ofValidators: ReadonlySet<string> = new Set(['etag', 'last-modified']);
const ofContent: ReadonlySet<string> = new Set(['content-type', 'content-length', 'content-range']);

function linesOf(fields: Fields, names: readonly string[]): string {
  return names.flatMap((name) => [fields[name] ?? []].flat().map((value) => `${name}: ${value}\r\n`)).join('');
}
