/** Response fields that whoever runs the service adds to every answer of a region. @module */
import type { Fields } from './region-headers.ts';

/** One field. */
export type GivenField = { readonly name: string; readonly value: string };

/**
 * Fields that are refused: those that frame the message or belong to the connection (RFC 9110 7.6.1, 8.6, RFC 9112 6),
 * and those by which the service says what it answers with. They would make answers wrong, or be two.
 */
export const ownFields: ReadonlySet<string> = new Set([
  ...[
    'connection',
    'content-length',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ],
  ...['accept-ranges', 'cache-control', 'content-range', 'content-type', 'date', 'etag', 'last-modified'],
  ...['content-digest', 'content-location', 'repr-digest'],
]);

// RFC 9110 5.5, without obs-text: nothing that ends a line or is read in one way here and another there.
const fieldValue = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
const fieldName = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110 5.6.2

/** Whether this can be a field's value: visible ASCII characters, with spaces and tabs only between them. */
export function isFieldValue(text: string): boolean {
  return fieldValue.test(text);
}

/** Reads `Name: value`; undefined for what is no field, and for the service's own. */
export function readField(text: string): GivenField | undefined {
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(0, colon)).toLowerCase();
  const value = text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
  return fieldName.test(name) && isFieldValue(value) && !ownFields.has(name) ? { name, value } : undefined;
}

/** The fields by name; one that is given several times has a line for each. */
export function fieldsOf(given: readonly GivenField[]): Fields {
  const fields = new Map<string, string | string[]>();
  for (const { name, value } of given) {
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(fields);
}
