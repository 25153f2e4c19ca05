/** The kinds of flags: how values of each are written and read. @module */
import { maxSeconds } from '../region/within.ts';

type JsonType = 'string' | 'number' | 'boolean';

/** One option of `pagerelay serve`: how it is written and read in each of its sources. */
export type Flag<Value> = {
  /** Without the dashes. The environment variable and the configuration key are derived from it. */
  readonly flag: string;
  /** Empty: on the command line the flag takes no value, and means `true`. */
  readonly placeholder: string;
  readonly meaning: string;
  /** How usage text shows the default. */
  readonly shownDefault: string;
  readonly repeatable: boolean;
  /** What parts the values of one environment variable; by default a comma. */
  readonly separator?: string | RegExp;
  /** What the configuration file may write the value as. */
  readonly json: readonly JsonType[];
  readonly fallback: Value;
  /** Completes the sentence "--flag must be ..." */
  readonly rule: string;
  /** Takes at least one text; undefined breaks the rule. */
  readonly read: (texts: readonly string[]) => Value | undefined;
};

/** A flag without its name. */
type Kind<Value> = Omit<Flag<Value>, 'flag' | 'meaning'>;

/** Gives a flag of some kind its name. */
export function named<Value>(flag: string, meaning: string, kind: Kind<Value>): Flag<Value> {
  return { flag, meaning, ...kind };
}

/** How one text is read; undefined breaks the rule. */
type Reading<Value> = {
  readonly placeholder: string;
  readonly rule: string;
  readonly read: (text: string) => Value | undefined;
};

/** A flag of one value: the last one that is given counts. */
export function one<Value>({ read, ...written }: Reading<Value>, fallback: Value): Kind<Value> {
  return {
    ...written,
    shownDefault: fallback === undefined ? 'none' : String(fallback),
    repeatable: false,
    json: ['string'],
    fallback,
    read: (texts) => {
      const text = texts.at(-1);
      return text === undefined ? undefined : read(text);
    },
  };
}

/** A flag that may be given several times. */
export function many<Item>({ read, ...written }: Reading<Item>): Kind<readonly Item[]> {
  return {
    ...written,
    shownDefault: 'none',
    repeatable: true,
    json: ['string'],
    fallback: [],
    read: (texts) => {
      const items = texts.map(read).filter((item) => item !== undefined);
      return items.length === texts.length ? items : undefined;
    },
  };
}

export const onOff: Kind<boolean> = {
  ...one({ placeholder: '', rule: '1, true, 0 or false', read: readSwitch }, false),
  shownDefault: 'off',
  json: ['boolean'],
};

export const onePath: Kind<string | undefined> = one(
  { placeholder: 'PATH', rule: 'a path that is not empty', read: readPath },
  undefined,
);

/** One of a few words. */
export function oneOf<Word extends string>(placeholder: string, words: readonly Word[], fallback: Word): Kind<Word> {
  const rule = `one of ${words.join(', ')}`;
  return one({ placeholder, rule, read: (text) => words.find((word) => word === text) }, fallback);
}

/** A whole number of at most nine digits. */
export function whole<Fallback extends number | undefined>(
  placeholder: string,
  least: number,
  most: number,
  fallback: Fallback,
): Kind<number | Fallback> {
  const read = (text: string) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : -1;
    return value >= least && value <= most ? value : undefined;
  };
  const rule = `a whole number from ${least} to ${most}`;
  return { ...one<number | Fallback>({ placeholder, rule, read }, fallback), json: ['number'] };
}

/** Seconds, with fractions. */
export function seconds(fallback: number): Kind<number> {
  const rule = `a number of seconds from 0 to ${maxSeconds}`;
  return { ...one({ placeholder: 'SECONDS', rule, read: readSeconds }, fallback), json: ['number'] };
}

/** The same, but not 0. */
export function secondsAboveZero(fallback: number): Kind<number> {
  const rule = `a number of seconds above 0, at most ${maxSeconds}`;
  const read = (text: string) => readSeconds(text) || undefined;
  return { ...one({ placeholder: 'SECONDS', rule, read }, fallback), json: ['number'] };
}

const byteUnits = new Map([
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);
const someBytes = 'a whole number of bytes from 1 to 2^53 - 1, alone or in KiB, MiB, GiB or TiB, such as 64MiB';

/** Bytes, at least 1. */
export function bytes<Fallback extends number | undefined>(
  shownDefault: string,
  fallback: Fallback,
): Kind<number | Fallback> {
  const kind = one<number | Fallback>({ placeholder: 'BYTES', rule: someBytes, read: readBytes }, fallback);
  return { ...kind, shownDefault, json: ['number', 'string'] };
}

/** The same, or 0. */
export function bytesOrNone(shownDefault: string, fallback: number): Kind<number> {
  const read = (text: string) => (text === '0' ? 0 : readBytes(text));
  const kind = one({ placeholder: 'BYTES', rule: `0, or ${someBytes}`, read }, fallback);
  return { ...kind, shownDefault, json: ['number', 'string'] };
}

function readSeconds(text: string): number | undefined {
  const value = /^[0-9]+(?:\.[0-9]+)?$/.test(text) ? Number(text) : Number.NaN;
  return value <= maxSeconds ? value : undefined;
}

function readBytes(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^([0-9]{1,16})(KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  const count = Number(digits) * (byteUnits.get(unit) ?? 1);
  return count >= 1 && count <= Number.MAX_SAFE_INTEGER ? count : undefined;
}

function readSwitch(text: string): boolean | undefined {
  if (text === '1' || text === 'true') return true;
  return text === '0' || text === 'false' ? false : undefined;
}

/** A path that is not empty. */
export function readPath(text: string): string | undefined {
  return text === '' || text.includes('\0') ? undefined : text;
}
