/** Lists in pages: `?limit=&after=&prefix=`, and where the next page is. @module */
import type { FastifyReply } from 'fastify';
import { mostItems, type Page } from '../../relay/page.ts';
import { ProblemError } from '../problem/problems.ts';

/** What a query asks for, each parameter as it is there, decoded. */
export type Query = Readonly<Record<string, string>>;

/**
 * The parameters of a query of a list.
 *
 * @param known the names that the list takes
 * @throws ProblemError `bad-query` for one that is there twice, or is for other lists
 */
export function queryOf(query: unknown, known: readonly (typeof parameters)[number][]): Query {
  const given = query as Readonly<Record<string, string | readonly string[] | undefined>>;
  const found: Record<string, string> = {};
  for (const name of parameters) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== 'string') refuse(`${name} is there more than once.`);
    if (!known.includes(name)) refuse(`${name} has no meaning for this list.`);
    found[name] = value;
  }
  return found;
}

/** What lists take, each its own of them; other parameters mean nothing and are passed over. */
const parameters = ['limit', 'after', 'prefix', 'region'] as const;

/** How many items are asked for at most. @throws ProblemError `bad-query` */
export function limitOf({ limit }: Query): number {
  if (limit === undefined) return mostItems;
  const number = /^[0-9]{1,9}$/.test(limit) ? Number(limit) : 0;
  return number >= 1 && number <= mostItems ? number : refuse(`limit must be a whole number from 1 to ${mostItems}.`);
}

/** Tells where the next page is (RFC 8288): the same query, behind the last item of this one. */
export function linkNext<Key extends string | number>(
  reply: FastifyReply,
  query: Query,
  { next }: Page<unknown, Key>,
): void {
  if (next === undefined) return;
  const parts = Object.entries({ ...query, after: `${next}` }).map(
    ([name, value]) => `${name}=${encodeURIComponent(value)}`,
  );
  reply.header('link', `<?${parts.join('&')}>; rel="next"`);
}

/** @throws ProblemError `bad-query` */
export function refuse(detail: string): never {
  throw new ProblemError('bad-query', { detail });
}
