/** `GET /references`. @module */
import { setImmediate } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Page } from '../../relay/page.ts';
import type { Reference, Relay, TransmissionId } from '../../relay/relay.ts';
import type { Routes } from '../routes.ts';
import { limitOf, linkNext, type Query, queryOf, refuse } from './list-pages.ts';

/** Answers with a page of references. @throws ProblemError */
export async function listReferences(
  { catalog, outgoing: { relay } }: Pick<Routes, 'catalog' | 'outgoing'>,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const query = queryOf(request.query, ['limit', 'after', 'region']);
  const asked = { after: idOf(query), limit: limitOf(query) };
  const { region } = query;
  const page =
    region === undefined ? relay.references(asked) : await pageOf(relay, catalog.generationsOf(region), asked);
  linkNext(reply, query, page);
  const named = page.items.map(({ id, generation, ...rest }) => ({ id, region: catalog.nameOf(generation), ...rest }));
  return { references: named };
}

function idOf({ after = '0' }: Query): TransmissionId {
  const id = /^[0-9]{1,16}$/.test(after) ? Number(after) : Number.NaN;
  return Number.isSafeInteger(id) ? id : refuse('after must be the id of a reference.');
}

type Asked = { readonly after: TransmissionId; readonly limit: number };

/** A page of the references to several generations, each of which is asked for in a turn of its own. */
async function pageOf(
  relay: Pick<Relay, 'references'>,
  generations: readonly number[],
  { after, limit }: Asked,
): Promise<Page<Reference, TransmissionId>> {
  const items: Reference[] = [];
  let known = Number.POSITIVE_INFINITY; // Up to this id there is nothing but `items`.
  for (const generation of generations) {
    const page = relay.references({ generation, after, limit });
    items.push(...page.items);
    known = Math.min(known, page.next ?? known);
    await setImmediate();
  }
  const sorted = items.filter(({ id }) => id <= known).sort((one, other) => one.id - other.id);
  const last = sorted.length > limit ? sorted[limit - 1]?.id : known;
  return { items: sorted.slice(0, limit), next: last === Number.POSITIVE_INFINITY ? undefined : last };
}
