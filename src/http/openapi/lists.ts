/** What the routes that list things in pages have in common. @module */
import { mostItems } from '../../relay/page.ts';
import { type Answer, type Schema, sometimes } from './parts.ts';

const limit = {
  type: 'integer',
  minimum: 1,
  maximum: mostItems,
  default: mostItems,
  description: 'Items of the page, at most.',
};

/**
 * The parameters of a list.
 *
 * @param after what the items are sorted by
 * @param others what only this list takes
 */
export function pageQuery(after: Schema, others: Readonly<Record<string, Schema>> = {}): Schema {
  const behind = { ...after, description: 'Only what is behind this one, which need not be there any more.' };
  return { type: 'object', properties: { limit, after: behind, ...others } };
}

/** Where the next page is. */
export const pageFields: NonNullable<Answer['headers']> = {
  Link: sometimes('`rel="next"` (RFC 8288): the next page, where there is more.', {
    type: 'string',
    pattern: '^<\\?[^>]*>; rel="next"$',
  }),
};
