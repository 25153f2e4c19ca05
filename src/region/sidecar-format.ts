/** Sidecars as JSON: strict in what is read, so that a damaged one is never half believed. @module */
import { isRegionName } from './name.ts';

const format = 2;
/** The format before this one, which had no ctime. */
const formatWithoutChanged = 1;

/** What is remembered of one file that has, or had, or is about to have the region's name. */
export type Description = {
  /** The inode of the file. */
  readonly inode: number;
  /** Names the generation: the first part of its entity-tag. */
  readonly generation: string;
  /** The media type that was given when the region was made; undefined: the name decides. */
  readonly contentType: string | undefined;
  /** The service run that last changed it in place, counted per region; 0: none ever did. */
  readonly epoch: number;
  /** How often that run changed it; undefined while that run may still go on: only it knows. */
  readonly version: number | undefined;
  /**
   * The service run that may still change the file: its bytes where `version` is undefined, else only its size and
   * time.
   */
  readonly run: string | undefined;
  /** Logical size in bytes. */
  readonly size: number;
  /** Whether the file still has bytes behind `size`, to be cut off. */
  readonly cut: boolean;
  /** Bytes of the file when this was written; not looked at while the version is undefined. */
  readonly fileSize: number;
  /** mtime of the file when this was written, nanoseconds since 1970 in decimal; looked at as `fileSize` is. */
  readonly modified: string;
  /** ctime, likewise; undefined while the service is about to move it, by giving or taking the file a name. */
  readonly changed: string | undefined;
};

/** What is remembered of a region: one file, or across a replacement the old and the new one. */
export type Sidecar = { readonly name: string; readonly descriptions: readonly Description[] };

/** A file in a sidecar's place that is none of ours, or no longer. */
export class DamagedSidecar extends Error {
  override readonly name = 'DamagedSidecar';
  readonly path: string;

  /** @param cause what is wrong with it */
  constructor(path: string, cause: unknown) {
    super(`${path} is damaged: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.path = path;
  }
}

type Rule = (value: unknown) => boolean;

/** Whether a value that was read is a number of things. */
export const isCount: Rule = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isText =
  (pattern: RegExp): Rule =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const isAbsentOr =
  (rule: Rule): Rule =>
  (value) =>
    value === null || rule(value);

const decimal = /^(?:0|-?[1-9][0-9]*)$/;

const descriptionRules: { readonly [Key in keyof Description]: Rule } = {
  // Some file systems number inodes beyond 2^53; the relay then has them rounded, and so has JSON.
  inode: (value) => Number.isInteger(value) && Number(value) >= 0,
  // RFC 9110 8.8.3: etagc, without obs-text.
  generation: isText(/^[\x21\x23-\x7e]+$/),
  // RFC 9110 5.5: what may stand in a field.
  contentType: isAbsentOr(isText(/^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/)),
  epoch: isCount,
  version: isAbsentOr(isCount),
  run: isAbsentOr(isText(/^[\x21-\x7e]+$/)),
  size: isCount,
  cut: (value) => typeof value === 'boolean',
  fileSize: isCount,
  modified: isText(decimal),
  changed: isAbsentOr(isText(decimal)),
};
const sidecarRules: Readonly<Record<string, Rule>> = {
  format: (value) => value === format,
  name: (value) => typeof value === 'string' && isRegionName(value),
  descriptions: (value) => Array.isArray(value) && (value.length === 1 || value.length === 2),
};

/**
 * Makes the text of a sidecar, with null for undefined: a missing key is damage. @throws RangeError for what is wrong
 */
export function serializeSidecar({ name, descriptions }: Sidecar): string {
  const written = { format, name, descriptions: descriptions.map(nullsForUndefined) };
  const wrong = wrongIn(written);
  if (wrong !== undefined) throw new RangeError(`no sidecar can hold this: ${wrong}`);
  return `${JSON.stringify(written, undefined, 2)}\n`;
}

/** Reads the text of a sidecar. @throws DamagedSidecar for whatever `serializeSidecar` does not make */
export function parseSidecar(path: string, text: string): Sidecar {
  const value = withChanged(parseJson(path, text));
  const wrong = wrongIn(value);
  if (wrong !== undefined) throw new DamagedSidecar(path, new Error(wrong));
  const { name, descriptions } = value as Sidecar; // The rules have just been kept.
  return { name, descriptions: descriptions.map(undefinedForNulls) };
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DamagedSidecar(path, cause);
  }
}

// What the format before this one did not know is unknown.
function withChanged(value: unknown): unknown {
  const { format: written, descriptions } = Object(value) as Record<string, unknown>;
  if (written !== formatWithoutChanged || !Array.isArray(descriptions)) return value;
  const withNull = descriptions.map((description) => ({ ...description, changed: null }));
  return { ...Object(value), format, descriptions: withNull };
}

function wrongIn(value: unknown): string | undefined {
  const wrong = brokenRule(value, sidecarRules);
  if (wrong !== undefined) return wrong;
  const { descriptions } = value as { descriptions: readonly unknown[] };
  return descriptions
    .map((description) => brokenRule(description, descriptionRules))
    .find((each) => each !== undefined);
}

// Exactly the keys of the rules, each with a value that keeps its rule.
function brokenRule(value: unknown, rules: Readonly<Record<string, Rule>>): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'an object is missing';
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(rules, key));
  if (unknown !== undefined) return `the key ${JSON.stringify(unknown)} is unknown`;
  const fields = new Map<string, unknown>(Object.entries(value));
  const broken = Object.entries(rules).find(([key, rule]) => !rule(fields.get(key)));
  return broken && `${broken[0]} is missing or wrong`;
}

function nullsForUndefined(description: Description): object {
  const keys = Object.keys(descriptionRules) as (keyof Description)[];
  return Object.fromEntries(keys.map((key) => [key, description[key] ?? null]));
}

function undefinedForNulls(description: Description): Description {
  const values = Object.entries(description).map(([key, value]) => [key, value ?? undefined]);
  return Object.fromEntries(values) as Description;
}
