/** What the descriptions of routes are put together from: JSON Schema 2020-12, as OpenAPI 3.1 has it. @module */
import { type ProblemCode, problemContentType, problems } from '../problem/problems.ts';

/** A JSON Schema. */
export type Schema = { readonly [keyword: string]: unknown };

/** An answer: what it means, its fields, and its body by media type (none: no body). */
export type Answer = {
  readonly description: string;
  readonly headers?: Readonly<Record<string, Schema>>;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
  readonly type?: 'null';
};

/** A route as `/openapi.json` shows it. It describes only: nothing is validated or serialized by it. */
export type RouteDocument = {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly params?: Schema;
  readonly querystring?: Schema;
  readonly headers?: Schema;
  readonly body?: Schema;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly response: Readonly<Record<string | number, Answer>>;
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What `/openapi.json` says of the route; a route without it is left out. */
    openapi?: RouteDocument;
  }
}

/** A token is asked for where the service has a file of them. */
export const tokenWhereThereIsOne = [{ bearer: [] }, {}];

/** Bytes, counts: whole numbers that JavaScript can hold. */
export const wholeNumber = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };

/** A part that stands once in the document, under this name. */
export function component(name: string, schema: Schema): Schema {
  return { ...schema, 'x-component': name };
}

/** An object of exactly these properties, all of which are there but for those that are named. */
export function objectOf(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}

/** A response field that is always there. */
export function always(description: string, schema: Schema = { type: 'string' }): Schema {
  return { ...schema, description, 'x-required': true };
}

/** A response field that can be there. */
export function sometimes(description: string, schema: Schema = { type: 'string' }): Schema {
  return { ...schema, description };
}

/** An answer with a JSON body. */
export function json(description: string, schema: Schema, headers: Answer['headers'] = {}): Answer {
  return { description, headers, content: { 'application/json': { schema } } };
}

/** An answer without a body. */
export function bodiless(description: string, headers: Answer['headers'] = {}): Answer {
  return { description, headers, type: 'null' };
}

const problem = component('Problem', {
  ...objectOf(
    {
      type: { type: 'string', pattern: '^urn:pagerelay:problem:[a-z-]+$' },
      title: { type: 'string' },
      status: { type: 'integer', minimum: 400, maximum: 599 },
      code: { type: 'string', enum: Object.keys(problems), description: 'Stable: this is what to decide by.' },
      detail: { type: 'string', description: 'What went wrong this time.' },
      instance: { type: 'string', description: 'The address that was asked for.' },
    },
    ['detail', 'instance'],
  ),
  description: 'An error (RFC 9457).',
});

const headersOfCode: Partial<Record<ProblemCode, Answer['headers']>> = {
  unauthorized: { 'WWW-Authenticate': always('Bearer (RFC 6750 3).', { type: 'string', pattern: '^Bearer ' }) },
  'method-not-allowed': { Allow: always('What the address does answer.') },
  'precondition-failed': { ETag: sometimes('Of what is there now, if anything is.') },
  'range-not-satisfiable': {
    'Content-Range': always('The size, as `bytes */N`.', { type: 'string', pattern: '^bytes \\*/[0-9]+$' }),
  },
  'unsupported-media-type': { 'Accept-Patch': sometimes('What PATCH takes.') },
};

/** Answers with these codes, one to who asks too often, and any other error, by status. */
export function failures(...codes: readonly ProblemCode[]): Record<string, Answer> {
  const byStatus: Record<string, Answer> = {};
  const all: readonly ProblemCode[] = [...codes, 'too-many-requests'];
  for (const status of new Set(all.map((code) => problems[code].status))) {
    byStatus[status] = failure(all.filter((code) => problems[code].status === status));
  }
  return { ...byStatus, default: anyFailure };
}

function failure(codes: readonly ProblemCode[]): Answer {
  const titles = codes.map((code) => `\`${code}\`: ${problems[code].title}`);
  const headers = Object.assign({}, ...codes.map((code) => headersOfCode[code]), retryAfter(codes));
  const schema = { allOf: [problem, { type: 'object', properties: { code: { enum: codes } } }] };
  return { description: titles.join(' '), headers, content: { [problemContentType]: { schema } } };
}

function retryAfter(codes: readonly ProblemCode[]): Answer['headers'] {
  const waiting = codes.filter((code) => 'retryAfter' in problems[code]);
  if (waiting.length === 0) return {};
  const field = waiting.length === codes.length ? always : sometimes;
  return { 'Retry-After': field('Seconds.', { type: 'string', pattern: '^[0-9]+$' }) };
}

const anyFailure: Answer = {
  description: 'Any other error: a method that is not answered here (405), a request that can not be understood.',
  headers: { Allow: sometimes('What the address does answer, where that is what is wrong.') },
  content: { [problemContentType]: { schema: problem } },
};
