import type { IncomingHttpHeaders } from 'node:http';

// Not structured-headers: RFC 7240 2 is older than that grammar. Names are case-insensitive, white space may stand
// around '=', list elements may be empty, and of a name that comes again the first counts, not the last.
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const quoted = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
// No two runs of white space meet in it, so that a long one costs linear time.
const preference = new RegExp(`^[ \\t]*(${token})[ \\t]*(?:=[ \\t]*(?:(${token}|${quoted})[ \\t]*)?)?$`);

type Preference = { readonly name: string; readonly value: string };

/**
 * How long a client would wait (`Prefer: wait=N`, RFC 7240 4.3), in whole seconds from 0 to 2^53 - 1. Other preferences
 * are passed over. Never throws.
 *
 * @returns undefined without one, for a field that breaks the grammar, and when the first `wait` is no number of seconds
 */
export function preferredWait(headers: IncomingHttpHeaders): number | undefined {
  const field = headers.prefer;
  const preferences = typeof field === 'string' ? parsePreferences(field) : undefined;
  const wait = preferences?.find(({ name }) => name === 'wait')?.value;
  if (wait === undefined || !/^[0-9]+$/.test(wait)) return undefined;
  return Math.min(Number(wait), Number.MAX_SAFE_INTEGER);
}

function parsePreferences(field: string): Preference[] | undefined {
  const preferences: Preference[] = [];
  for (const element of splitUnquoted(field, ',')) {
    // RFC 9110 5.6.1.2: a recipient must accept empty list elements.
    if (isBlank(element)) continue;
    const [first, ...parameters] = splitUnquoted(element, ';').map((text) => (isBlank(text) ? 'none' : parse(text)));
    if (first === undefined || first === 'none' || parameters.includes(undefined)) return undefined;
    preferences.push(first);
  }
  return preferences;
}

function parse(text: string): Preference | undefined {
  const [, name, value = ''] = preference.exec(text) ?? [];
  return name === undefined ? undefined : { name: name.toLowerCase(), value };
}

// A quote that is never closed reaches to the end, where the grammar then refuses it.
function splitUnquoted(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let start = 0;
  let inQuotes = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (inQuotes && character === '\\') at++;
    else if (character === '"') inQuotes = !inQuotes;
    else if (character === separator && !inQuotes) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function isBlank(text: string): boolean {
  return /^[ \t]*$/.test(text);
}
