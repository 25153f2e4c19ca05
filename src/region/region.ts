import type { FileIdentity, JudgedContent } from '../relay/relay.ts';
import { contentTypeOf } from './content-type.ts';
import { etagOf, generationOfFile } from './validator.ts';

/** A named sequence of bytes as it is now: one generation at one version. */
export type Region = {
  readonly name: string;
  readonly contentType: string;
  readonly content: JudgedContent;
  /** Strong (RFC 9110 8.8.3), with its quotes. */
  readonly etag: string;
  readonly lastModified: Date;
  /** The same as an HTTP-date. */
  readonly lastModifiedField: string;
};

/** Describes a region whose content was never changed in place. */
export function describeRegion(name: string, generation: JudgedContent['generation']): Region {
  const lastModified = new Date(generation.modifiedSeconds * 1000);
  const state = { generation: generationName(generation), epoch: 0, version: 0 };
  return {
    name,
    contentType: contentTypeOf(name),
    content: { generation, epoch: 0, version: 0 },
    etag: etagOf(state),
    lastModified,
    lastModifiedField: lastModified.toUTCString(),
  };
}

function generationName(file: FileIdentity): string {
  const nanoseconds = BigInt(file.modifiedSeconds) * 1_000_000_000n + BigInt(file.modifiedNanoseconds);
  return generationOfFile(BigInt(file.size), nanoseconds);
}
