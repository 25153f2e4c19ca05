import type { JudgedContent } from '../relay/relay.ts';
import { contentTypeOf } from './content-type.ts';
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

/** Describes a region whose content is open. */
export function describeRegion(name: string, content: JudgedContent, state: State): Region {
  const lastModified = dateOf(content.generation.modifiedSeconds);
  return {
    name,
    contentType: state.contentType ?? contentTypeOf(name),
    content,
    state,
    etag: etagOf(state),
    lastModified,
    lastModifiedField: lastModified?.toUTCString(),
  };
}

// An HTTP-date has four digits for the year, and file systems hold times far outside of those years.
const firstSecond = Date.parse('0000-01-01T00:00:00Z') / 1000;
const lastSecond = Date.parse('9999-12-31T23:59:59Z') / 1000;

function dateOf(seconds: number): Date | undefined {
  return seconds >= firstSecond && seconds <= lastSecond ? new Date(seconds * 1000) : undefined;
}
