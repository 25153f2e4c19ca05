/** How the routes that read are described. @module */
import { everyMeans } from '../../relay/means.ts';
import { engines } from '../../relay/relay.ts';
import { pageFields, pageQuery } from './lists.ts';
import {
  always,
  bodiless,
  component,
  failures,
  json,
  objectOf,
  type RouteDocument,
  type Schema,
  tokenWhereThereIsOne as security,
  sometimes,
  wholeNumber,
} from './parts.ts';

/** A region in an address. */
export const nameParameter: Schema = {
  type: 'object',
  properties: {
    name: {
      type: 'string',
      description:
        'One or more segments of UTF-8 joined by `/`, which stand in the address as they are; at most 1,024 bytes in ' +
        'all. No segment is empty, `.`, `..` or contains NUL, and the first is not `.pagerelay`. The service may also ' +
        'deny segments that begin with a dot.',
    },
  },
  required: ['name'],
};

/** Fields of requests, none of which has to be there. */
export function requestFields(fields: Readonly<Record<string, string>>): Schema {
  const properties = Object.entries(fields).map(([name, description]) => [name, { type: 'string', description }]);
  return { type: 'object', properties: Object.fromEntries(properties) };
}

const validators = {
  ETag: always('Strong (RFC 9110 8.8.3).', { type: 'string', pattern: '^"[!-~]+"$' }),
  'Last-Modified': always('An HTTP-date.'),
  Link: sometimes('`<?version=TAG>; rel="bookmark"`: the URL of this version, where none was asked for.'),
  'Content-Location': sometimes('The URL of this version, where it was asked for.'),
  'Cache-Control': sometimes(
    '`no-cache` where whoever runs it has not chosen otherwise; `max-age=31536000, immutable` (RFC 8246) of the ' +
      'version that was asked for.',
  ),
  'Accept-Ranges': always('Ranges of bytes can be asked for.', { const: 'bytes' }),
  'X-Content-Type-Options': always('Browsers take the content type as it is.', { const: 'nosniff' }),
  'Content-Security-Policy': always('Browsers run nothing of it.', { const: 'sandbox' }),
};

const content = {
  ...validators,
  'Content-Length': always('Bytes of the body.', { type: 'string', pattern: '^[0-9]+$' }),
  'Repr-Digest': sometimes('SHA-256 of the whole (RFC 9530), where it was asked for.'),
};

const bytes = { type: 'string', format: 'binary' };

/** `GET /regions/{name}`. */
export const readRoute: RouteDocument = {
  operationId: 'readRegion',
  summary: 'The bytes of a region, or ranges of them',
  description:
    'Ranges, conditionals and validators of RFC 9110. Each response is one snapshot: its pages do not change through ' +
    'pagerelay before nobody can see it any more. A 503 to a request with Range has no body.',
  tags: ['regions'],
  security,
  params: nameParameter,
  querystring: {
    type: 'object',
    properties: {
      version: {
        type: 'string',
        description:
          'An entity-tag without its quotes: 412, to HEAD too, unless it is that of the current version, or of one that ' +
          'was replaced and is kept (`--keep-versions`). Clients that ask for one region again and again, and can send no If-Match, never get parts of two versions by such a URL.',
      },
    },
  },
  headers: requestFields({
    range: 'Up to 64 ranges of bytes (RFC 9110 14.2); more, or another unit, get the whole; malformed ones get 416.',
    'if-range': 'An entity-tag or a date: ranges only of this (RFC 9110 13.1.5).',
    'if-match': 'RFC 9110 13.1.1',
    'if-none-match': 'RFC 9110 13.1.2',
    'if-modified-since': 'RFC 9110 13.1.3',
    'if-unmodified-since': 'RFC 9110 13.1.4',
    'want-repr-digest': '`sha-256=1` asks for Repr-Digest (RFC 9530 4).',
  }),
  response: {
    200: { description: 'The whole.', headers: content, content: { '*/*': { schema: bytes } } },
    206: {
      description: 'One range, or several as `multipart/byteranges`.',
      headers: {
        ...content,
        'Content-Range': sometimes('Of one range.', { type: 'string', pattern: '^bytes [0-9]+-[0-9]+/[0-9]+$' }),
      },
      content: { 'multipart/byteranges': { schema: bytes }, '*/*': { schema: bytes } },
    },
    304: bodiless('Not modified.', validators),
    ...failures(
      'bad-query',
      'unauthorized',
      'region-forbidden',
      'region-not-found',
      'precondition-failed',
      'range-not-satisfiable',
      'misdirected',
      'busy',
      'overloaded',
      'draining',
      'region-leased',
      'region-unstable',
    ),
  },
};

const engine = { type: 'string', enum: engines };

const region = component(
  'Region',
  objectOf({
    name: { type: 'string' },
    size: { ...wholeNumber, description: 'Bytes.' },
    backing: {
      type: 'string',
      enum: ['fsdax', 'devdax', 'hugetlb', 'tmpfs', 'memfd', 'pagecache'],
      description: 'Of a region that is not open, what other files on its device have.',
    },
    engine: { ...engine, description: 'How its bytes reach a socket, the peer left aside.' },
    copyFree: {
      type: ['boolean', 'null'],
      description: 'Whether that was seen to send the pages themselves; null where no experiment could be run.',
    },
    engineBecause: { type: 'string' },
    contentType: { type: 'string' },
    etag: { type: 'string' },
    versionUrl: {
      type: 'string',
      description:
        'Where this version is found and no other, relative to this address (RFC 3986 4.2): 412 once the region has ' +
        'another one and this one is not kept (`--keep-versions`).',
    },
    node: {
      type: ['integer', 'null'],
      minimum: 0,
      description: 'NUMA node of most of its pages; null of a region that is not open.',
    },
    nodes: {
      type: 'object',
      additionalProperties: { type: 'number', minimum: 0, maximum: 1 },
      description: 'The share of the pages that were looked at, by NUMA node; empty for a region that is not open.',
    },
    writable: { type: 'boolean' },
    overwriteMeans: {
      type: ['string', 'null'],
      enum: [...everyMeans, null],
      description:
        'What an overwrite in place does about pages of it that readers have in flight: it waits until they are done, ' +
        'punches them out of the file, or writes past the page cache; null of a region that can not be changed.',
    },
  }),
);

/** `GET /regions`. */
export const listRoute: RouteDocument = {
  operationId: 'listRegions',
  summary: 'Every region, and how it is sent, in pages',
  description:
    'Made of names and a look at each file: nothing is opened. Regions that come or go meanwhile are there or not; ' +
    'those that stay are in one page each. Where a folder or a file can not be looked at, there is no page but an error.',
  tags: ['regions'],
  security,
  querystring: pageQuery(
    { type: 'string' },
    { prefix: { type: 'string', description: 'Only regions whose names begin so.' } },
  ),
  response: {
    200: json(
      'Regions, sorted by the bytes of their names in UTF-8.',
      objectOf({ regions: { type: 'array', items: region } }),
      pageFields,
    ),
    ...failures('bad-query', 'unauthorized', 'misdirected', 'busy', 'draining'),
  },
};

const reference = component(
  'Reference',
  objectOf({
    id: wholeNumber,
    region: { type: 'string', description: 'Empty for one whose name is forgotten.' },
    first: { ...wholeNumber, description: 'Offset of the first byte that is held.' },
    last: { ...wholeNumber, description: 'Offset of the last one.' },
    bytes: wholeNumber,
    state: {
      type: 'string',
      enum: ['unsent', 'sent', 'quarantined'],
      description: 'Not with the socket yet; with it, but changes could still be seen; nobody can tell when it ends.',
    },
    engine,
    peer: { type: 'string', description: 'Address and port; empty for the portable engine.' },
    peerKind: { type: 'string', enum: ['local', 'remote', 'unaskable'] },
    ageSeconds: { type: 'number', minimum: 0 },
  }),
);

/** `GET /references`. */
export const referencesRoute: RouteDocument = {
  operationId: 'listReferences',
  summary: 'What is held now, for whom, in pages',
  tags: ['watching'],
  security,
  querystring: pageQuery(wholeNumber, {
    region: { type: 'string', description: 'Only references to this region.' },
  }),
  response: {
    200: json(
      'References, sorted by id, after a look at what is done: a page can have fewer than there is room for.',
      objectOf({ references: { type: 'array', items: reference } }),
      pageFields,
    ),
    ...failures('bad-query', 'unauthorized', 'misdirected'),
  },
};

/** `GET /metrics`. */
export const metricsRoute: RouteDocument = {
  operationId: 'readMetrics',
  summary: 'Metrics for Prometheus',
  tags: ['watching'],
  security,
  headers: requestFields({ accept: '`application/openmetrics-text` asks for OpenMetrics.' }),
  response: {
    200: {
      description: 'All metrics, as text.',
      headers: { Vary: always('The format depends on Accept.') },
      content: {
        'text/plain': { schema: { type: 'string' } },
        'application/openmetrics-text': { schema: { type: 'string' } },
      },
    },
    ...failures('unauthorized', 'misdirected'),
  },
};
