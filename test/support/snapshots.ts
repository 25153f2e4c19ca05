/**
 * Judges what readers saw of a region that writers overwrote meanwhile: was every response one snapshot?
 *
 * All that is known is seen from outside, so the rules are sound, not complete: what they call a fault can't be
 * explained by any order of the writes, and what they let pass may still be wrong. All times come from one clock.
 *
 * What they rest on: writes to one page are one after the other. A reference is taken before the head of its response
 * is written, and from then on its pages don't change. The version moves before the first byte of a write does, so the
 * entity-tag that a write returns is its own version or, when others ran beside it, a later one, never an earlier one.
 *
 * @module
 */
import { zeros } from './self-describing.ts';

/** A write of whole pages. Times in milliseconds. */
export type PageWrite = {
  readonly stamp: number;
  readonly firstPage: number;
  readonly pages: number;
  /** Before the first byte of the request went out. */
  readonly sent: number;
  /** After it was acknowledged; undefined when it never was. */
  readonly done?: number | undefined;
  /** That it was acknowledged with. */
  readonly etag?: string | undefined;
  /** It was answered with an error: nothing of it may ever be seen. */
  readonly refused: boolean;
};

/** Neighbouring pages in a response, and the stamp that each of them showed. */
export type SeenPages = { readonly firstPage: number; readonly stamps: readonly number[] };

/** What one response showed, up to where it ended or was broken off. Times in milliseconds. */
export type Seen = {
  readonly reader: string;
  readonly etag: string;
  /** Before the first byte of the request went out. */
  readonly asked: number;
  /** After its head had come. */
  readonly headed: number;
  readonly extents: readonly SeenPages[];
};

/** A region's initial content has stamp 0. */
export type History = { readonly writes: readonly PageWrite[]; readonly seen: readonly Seen[] };

/** What can't have been. */
export type Rule =
  /** A page that mixes writes, or is another page. */
  | 'not uniform'
  /** Nobody wrote that there, or it was refused. */
  | 'never written'
  /** A write that was sent when the response's head had already come. */
  | 'from the future'
  /** A page as it was before a write that the response must show. */
  | 'outdated'
  /** One page of a write, and another one as it was before that write. */
  | 'half a write'
  /** Of two writes to the same two pages, one on each. */
  | 'crossed writes'
  /** Content that was seen at two versions but not at one between them, or two contents of one version. */
  | 'came back';

export type Fault = { readonly rule: Rule; readonly page: number; readonly stamp: number; readonly what: string };

/** A place in the order of a generation's versions. */
type Version = { readonly generation: string; readonly order: number };

type Known = Pick<PageWrite, 'stamp' | 'firstPage' | 'pages' | 'sent'> & {
  readonly done: number;
  readonly version: Version | undefined;
};

const initial: Known = {
  stamp: 0,
  firstPage: 0,
  pages: Number.POSITIVE_INFINITY,
  sent: Number.NEGATIVE_INFINITY,
  done: Number.NEGATIVE_INFINITY,
  version: undefined,
};

/** What was seen of a file whose pages from `firstHole` on were holes at first: zeros there are its initial content. */
export function withHoles(seen: readonly Seen[], firstHole: number): Seen[] {
  const known = ({ firstPage, stamps }: SeenPages) => ({
    firstPage,
    stamps: stamps.map((stamp, at) => (stamp === zeros && firstPage + at >= firstHole ? initial.stamp : stamp)),
  });
  return seen.map((response) => ({ ...response, extents: response.extents.map(known) }));
}

/** Finds all that can't have been. */
export function findFaults({ writes, seen }: History): Fault[] {
  const known = new Map<number, Known>([[initial.stamp, initial]]);
  for (const write of writes) {
    if (write.refused) continue;
    const version = write.etag === undefined ? undefined : versionOf(write.etag);
    known.set(write.stamp, { ...write, done: write.done ?? Number.POSITIVE_INFINITY, version });
  }
  const writesOfPage = groupByPage(known);
  return [...seen.flatMap((response) => faultsOfResponse(response, known, writesOfPage)), ...findReturns(seen)];
}

/** The place of an entity-tag in the order of its generation's versions. */
export function versionOf(etag: string): Version {
  const [, generation = '', epoch = '0', version = '0'] = /^"(.+?)(?:\.(\d+)\.(\d+))?"$/.exec(etag) ?? [];
  return { generation, order: Number(epoch) * 2 ** 32 + Number(version) };
}

/** The writes to each page, in the order of sending. */
function groupByPage(known: ReadonlyMap<number, Known>): Map<number, Known[]> {
  const writesOfPage = new Map<number, Known[]>();
  for (const write of known.values()) {
    if (write === initial) continue;
    for (let page = write.firstPage; page < write.firstPage + write.pages; page++) {
      const others = writesOfPage.get(page);
      if (others) others.push(write);
      else writesOfPage.set(page, [write]);
    }
  }
  for (const others of writesOfPage.values()) others.sort((one, other) => one.sent - other.sent);
  return writesOfPage;
}

function faultsOfResponse(
  response: Seen,
  known: ReadonlyMap<number, Known>,
  writesOfPage: ReadonlyMap<number, readonly Known[]>,
): Fault[] {
  const faults: Fault[] = [];
  const shown = new Map<number, Known>();
  const blame = (rule: Rule, page: number, stamp: number, because: string) => {
    faults.push({ rule, page, stamp, what: `${response.reader}, ${response.etag}: ${because}` });
  };
  for (const { firstPage, stamps } of response.extents) {
    for (const [at, stamp] of stamps.entries()) {
      const page = firstPage + at;
      const write = known.get(stamp);
      if (stamp === zeros) blame('not uniform', page, stamp, 'it is zeros, and no hole');
      else if (stamp < 0) blame('not uniform', page, stamp, 'its records differ, or are of another page');
      else if (!write || !covers(write, page)) blame('never written', page, stamp, 'nobody wrote that here');
      else shown.set(page, write);
      if (write && write.sent > response.headed) {
        blame('from the future', page, stamp, `sent ${write.sent - response.headed} ms after the head`);
      }
    }
  }
  blameOutdated(response, shown, writesOfPage, blame);
  blameParts(shown, blame);
  return faults;
}

type Blame = (rule: Rule, page: number, stamp: number, because: string) => void;

/*
 * A snapshot that shows a write is no older than when that write was sent, and none is older than its request. So every
 * write that was acknowledged before is in it, and every one whose entity-tag is not later than the response's; and a
 * page may not show what was acknowledged before such a write to that page was even sent.
 */
function blameOutdated(
  { asked, headed, etag }: Seen,
  shown: ReadonlyMap<number, Known>,
  writesOfPage: ReadonlyMap<number, readonly Known[]>,
  blame: Blame,
): void {
  let asOf = asked;
  for (const { sent } of shown.values()) asOf = Math.max(asOf, sent);
  const version = versionOf(etag);
  const isIn = (write: Known) => write.done < asOf || isNoLater(write.version, version);
  for (const [page, write] of shown) {
    const others = writesOfPage.get(page) ?? [];
    for (let at = firstSentAfter(others, write.done); at < others.length; at++) {
      const later = others[at];
      if (!later || later.sent > headed) break;
      if (!isIn(later)) continue;
      blame('outdated', page, write.stamp, `${later.stamp} had been written over it`);
      break;
    }
  }
}

// The place in a list that is in the order of sending.
function firstSentAfter(writes: readonly Known[], time: number): number {
  let [from, to] = [0, writes.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((writes[middle]?.sent ?? 0) > time) to = middle;
    else from = middle + 1;
  }
  return from;
}

function isNoLater(version: Version | undefined, than: Version): boolean {
  return version?.generation === than.generation && version.order <= than.order;
}

/*
 * One write is all or nothing. Where a page of it shows another write, that one must have come later: not so when it
 * was acknowledged before this one was sent; nor when this one, on its part, is shown where the other one wrote too,
 * for the later of two writes is the later on every page of both.
 */
function blameParts(shown: ReadonlyMap<number, Known>, blame: Blame): void {
  const overwrote = new Set<string>();
  for (const write of new Set(shown.values())) {
    if (write === initial) continue;
    for (let page = write.firstPage; page < write.firstPage + write.pages; page++) {
      const other = shown.get(page);
      if (!other || other === write) continue;
      if (other.done < write.sent) blame('half a write', page, other.stamp, `others show ${write.stamp}`);
      overwrote.add(`${other.stamp} ${write.stamp}`);
      if (overwrote.has(`${write.stamp} ${other.stamp}`)) {
        blame('crossed writes', page, other.stamp, `and ${write.stamp} elsewhere`);
      }
    }
  }
}

/** At which versions a content of a page was seen. */
type Span = { first: number; last: number };
/** By page and stamp. */
type Spans = Map<number, Map<number, Span>>;

/*
 * As the version moves, a page's content changes and never comes back: the versions at which two contents of one page
 * were seen don't overlap. In particular, one entity-tag stands for one content.
 */
function findReturns(seen: readonly Seen[]): Fault[] {
  const generations = new Map<string, Spans>();
  for (const { etag, extents } of seen) {
    const { generation, order } = versionOf(etag);
    const spans: Spans = generations.get(generation) ?? new Map();
    generations.set(generation, spans);
    for (const { firstPage, stamps } of extents) {
      for (const [at, stamp] of stamps.entries()) if (stamp >= 0) widen(spans, firstPage + at, stamp, order);
    }
  }
  return [...generations.values()].flatMap((spans) => [...spans].flatMap(([page, of]) => overlapsOf(page, of)));
}

function widen(spans: Spans, page: number, stamp: number, order: number): void {
  const ofPage = spans.get(page) ?? new Map<number, Span>();
  spans.set(page, ofPage);
  const span = ofPage.get(stamp);
  if (span === undefined) ofPage.set(stamp, { first: order, last: order });
  else Object.assign(span, { first: Math.min(span.first, order), last: Math.max(span.last, order) });
}

function overlapsOf(page: number, spans: ReadonlyMap<number, Span>): Fault[] {
  const faults: Fault[] = [];
  const inOrder = [...spans].sort(([, one], [, other]) => one.first - other.first || one.last - other.last);
  for (const [at, [stamp, { first, last }]] of inOrder.entries()) {
    const [before, earlier] = inOrder[at - 1] ?? [];
    if (earlier === undefined || earlier.last < first) continue;
    const what = `seen from ${first} to ${last}, and ${before} from ${earlier.first} to ${earlier.last}`;
    faults.push({ rule: 'came back', page, stamp, what });
  }
  return faults;
}

function covers({ firstPage, pages }: Known, page: number): boolean {
  return page >= firstPage && page < firstPage + pages;
}
