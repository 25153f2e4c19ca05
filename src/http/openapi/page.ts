/** How the page, the service's health and the document itself are described. @module */
import {
  type Answer,
  always,
  bodiless,
  failures,
  json,
  objectOf,
  type RouteDocument,
  tokenWhereThereIsOne as security,
} from './parts.ts';

const etag = { ETag: always('Strong.', { type: 'string', pattern: '^"[!-~]+"$' }) };

/** Answers of what stays the same while the service runs. */
function fixed(description: string, contentType: string): Record<string | number, Answer> {
  const [mediaType = contentType] = contentType.split(';', 1);
  return {
    200: { description, headers: etag, content: { [mediaType]: { schema: {} } } },
    304: bodiless('Not modified.', etag),
    ...failures('precondition-failed', 'misdirected'),
  };
}

/** The page, or one of its files. */
export function assetRoute(asset: { readonly path: string; readonly contentType: string }): RouteDocument {
  const name = asset.path === '' ? 'Page' : `PageFile_${asset.path.replace(/^page\//, '').replace(/\W/g, '_')}`;
  return {
    operationId: `read${name}`,
    summary: asset.path === '' ? 'The page to watch' : 'A file of the page',
    tags: ['page'],
    response: fixed('As it is.', asset.contentType),
  };
}

/** `GET /page/live`. */
export const liveRoute: RouteDocument = {
  operationId: 'watch',
  summary: 'What is in flight, as it changes',
  description:
    'Server-sent events (WHATWG HTML 9.2) without a name; the data of each is a JSON object. At most 4 a second. The ' +
    "data is the page's own and may change with any version: use `/references` and `/metrics` in programs.",
  tags: ['page'],
  security,
  response: {
    200: {
      description: 'Events, until one side ends it.',
      headers: { 'Cache-Control': always('', { const: 'no-store' }) },
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    },
    ...failures('unauthorized', 'misdirected', 'busy'),
  },
};

/** `GET /openapi.json`. */
export const documentRoute: RouteDocument = {
  operationId: 'readDocument',
  summary: 'This document',
  tags: ['watching'],
  response: fixed('OpenAPI 3.1.', 'application/json'),
};

const status = (...values: readonly string[]) => objectOf({ status: { type: 'string', enum: values } });

/** `GET /healthz`. */
export const healthRoute: RouteDocument = {
  operationId: 'isAlive',
  summary: 'Whether the process answers',
  tags: ['watching'],
  response: { 200: json('It does.', status('ok')) },
};

/** `GET /readyz`. */
export const readinessRoute: RouteDocument = {
  operationId: 'isReady',
  summary: 'Whether requests should be sent here',
  tags: ['watching'],
  response: {
    200: json('They should.', status('ready')),
    503: json(
      'It drains: what is in flight goes on, nothing is begun. Or the path of the tree leads to another one than is served.',
      status('draining', 'tree-moved'),
    ),
  },
};
