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
  readonly lastModified: Date;
  /** The same as an HTTP-date. */
  readonly lastModifiedField: string;
};

/** Describes a region whose content is open. */
export function describeRegion(name: string, content: JudgedContent, state: State): Region {
  const lastModified = new Date(content.generation.modifiedSeconds * 1000);
  return {
    name,
    contentType: state.contentType ?? contentTypeOf(name),
    content,
    state,
    etag: etagOf(state),
    lastModified,
    lastModifiedField: lastModified.toUTCString(),
  };
}
