import type { FileIdentity, JudgedContent } from '../relay/relay.ts';
import type { Seen } from '../relay/witness.ts';
import { contentTypeOf } from './content-type.ts';
import type { Listed } from './listing/listing.ts';
import type { State } from './states.ts';
import { etagOf } from './validator.ts';

/** A named sequence of bytes as it is now: one generation at one version. */
export type Region = {
  readonly name: string;
  readonly contentType: string;
  readonly content: JudgedContent;
  readonly state: State;
  /** Strong (RFC 9110 8.8.3), with its quotes. */
  readonly etag: string;
  /** Undefined for a time that no HTTP-date can state. */
  readonly lastModified: Date | undefined;
  /** The same as an HTTP-date (RFC 9110 5.6.7). */
  readonly lastModifiedField: string | undefined;
};

/** What can be told of a region by its file alone. */
export type Described = Omit<Region, 'content'>;

/** A region whose file is not open, and what was seen of its device. */
export type Unopened = Described & { readonly file: FileIdentity; readonly seen: Seen };

/** Describes a region whose content is open. */
export function describeRegion(name: string, content: JudgedContent, state: State): Region {
  return { ...describeFile(name, content.generation, state), content };
}

/** Describes a region anew that has moved to another version, or time. */
export function moveRegion(region: Region, content: JudgedContent, state: State): Region {
  const { modifiedSeconds } = content.generation;
  const isAsBefore = modifiedSeconds === region.content.generation.modifiedSeconds;
  const dates = isAsBefore ? undefined : datesOf(modifiedSeconds);
  return { ...region, ...dates, content, state, etag: etagOf(state) };
}

/** Describes a region by its file. */
export function describeFile(name: string, file: FileIdentity, state: State): Described {
  const contentType = state.contentType ?? contentTypeOf(name);
  return { name, contentType, state, etag: etagOf(state), ...datesOf(file.modifiedSeconds) };
}

function datesOf(modifiedSeconds: number): Pick<Described, 'lastModified' | 'lastModifiedField'> {
  const lastModified = dateOf(modifiedSeconds);
  return { lastModified, lastModifiedField: lastModified?.toUTCString() };
}

/** What a list tells of a region whose content is open. */
export function listRegion({ name, contentType, etag, content }: Region): Listed {
  const { size, backing, seen, node, pagesByNode } = content.generation;
  return { name, size, contentType, etag, seen: { backing, verdicts: seen }, node, pagesByNode };
}

/** The same of one whose file was only looked at. @param seen what is known of its device */
export function listFile(name: string, file: FileIdentity, state: State, seen: Seen): Listed {
  return {
    name,
    // Only so many bytes of a longer file are served (docs/engines.md).
    size: Math.min(file.size, state.limit ?? Number.MAX_SAFE_INTEGER),
    contentType: state.contentType ?? contentTypeOf(name),
    etag: etagOf(state),
    seen,
    node: -1,
    pagesByNode: {},
  };
}

// An HTTP-date has four digits for the year, and file systems hold times far outside of those years.
const firstSecond = Date.parse('0000-01-01T00:00:00Z') / 1000;
const lastSecond = Date.parse('9999-12-31T23:59:59Z') / 1000;

function dateOf(seconds: number): Date | undefined {
  return seconds >= firstSecond && seconds <= lastSecond ? new Date(seconds * 1000) : undefined;
}
