/** Pages of other origins that may read regions (Fetch 3.2). @module */
import cors, { type FastifyCorsOptions } from '@fastify/cors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Fields, GivenFields } from './read/region-headers.ts';

/** What a page may see of an answer besides what any may. */
const exposed = [
  'accept-ranges',
  'content-length',
  'content-range',
  'content-disposition',
  'content-location',
  'etag',
  'last-modified',
  'link',
  'repr-digest',
  'retry-after',
];

const usual = { methods: ['GET', 'HEAD'], exposedHeaders: exposed };

/** Seconds that a browser may keep the answer to a preflight: as long as any does. */
const preflightAge = 7200;

/** What the service answers to pages of these origins; `*` is any. They may read, and send whatever fields they like. */
export function corsOfOrigins(origins: readonly string[]): FastifyCorsOptions {
  return { ...usual, maxAge: preflightAge, origin: origins.includes('*') ? '*' : [...origins] };
}

/** The same from options of `@fastify/cors`; `true` allows every origin. */
export function corsOptions(given: true | FastifyCorsOptions): FastifyCorsOptions {
  return { ...usual, ...(given === true ? {} : given) };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** False where pages of other origins are told nothing (`@fastify/cors`). */
    cors?: false;
  }
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => unknown;

/**
 * Answers pages of other origins on the routes of a scope. Without the library's own route for every OPTIONS, which would
 * stand for the whole application: each route here has one, and answers those that are no preflight.
 */
export function addCors(scope: FastifyInstance, options: FastifyCorsOptions): void {
  const known = scope.hasRequestDecorator('corsPreflightEnabled');
  const addHook = (name: 'onRequest', hook: Hook) =>
    scope.addHook(name, (request, reply, done) => {
      const isPreflight = request.headers['access-control-request-method'] !== undefined;
      if (request.method === 'OPTIONS' && !isPreflight) done();
      else hook(request, reply, done);
    });
  const instead = Object.create(scope, {
    options: { value: () => scope },
    addHook: { value: addHook },
    ...(known ? { decorateRequest: { value: () => scope } } : {}),
  }) as FastifyInstance;
  cors(instead, options, (error) => {
    if (error) throw error;
  });
}

/** Whether this is an origin as browsers name it, such as `https://app.example:8443`, or `*` for any. */
export function isOrigin(text: string): boolean {
  return text === '*' || (/^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text);
}

const byOrigin: ReadonlySet<string> = new Set([
  'vary',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
]);

const none: Fields = Object.freeze({});

/** The fields that a reply has been given for the request's origin, or for that it names none, in their order. */
export function originFields(reply: FastifyReply): Fields {
  const fields = reply.getHeaders();
  const names = Object.keys(fields).filter((name) => byOrigin.has(name));
  return names.length === 0 ? none : (Object.fromEntries(names.map((name) => [name, fields[name]])) as Fields);
}

/** Those of the service's answers to requests that name no origin. */
export function fieldsWithoutOrigin(origins: readonly string[]): Fields {
  if (origins.length === 0) return none;
  const first: Fields = origins.includes('*') ? { 'access-control-allow-origin': '*' } : { vary: 'Origin' };
  return { ...first, 'access-control-expose-headers': exposed.join(', ') };
}

/** What a region is answered with, and those. What it varies by already, for another origin, it goes on varying by. */
export function withOriginFields(given: GivenFields, forOrigin: Fields): GivenFields {
  if (forOrigin === none) return given;
  const { others = {} } = given;
  const both = { ...forOrigin, ...others };
  const { vary } = forOrigin;
  return { ...given, others: vary && others.vary ? { ...both, vary: [vary, others.vary].flat().join(', ') } : both };
}

/**
 * Whether those are right for every request that names no origin; and for those that do as well, when
 * `isForAnyOrigin` says so.
 */
export function areRightWithoutOrigin(fields: Fields, request: FastifyRequest): boolean {
  const { vary, 'access-control-allow-origin': allowed } = fields;
  if (isForAnyOrigin(fields)) return vary === undefined;
  if (allowed !== undefined) return false;
  return vary === undefined || (request.headers.origin === undefined && String(vary).toLowerCase() === 'origin');
}

/** Whether an answer with these fields is the same for every origin. */
export function isForAnyOrigin(fields: Fields): boolean {
  return fields['access-control-allow-origin'] === '*' && fields['access-control-allow-credentials'] === undefined;
}
