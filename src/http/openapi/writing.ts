/** How the routes that change regions are described. @module */

import { longestTtl } from '../../region/change/leases.ts';
import { pageFields, pageQuery } from './lists.ts';
import {
  always,
  bodiless,
  component,
  failures,
  json,
  objectOf,
  type RouteDocument,
  tokenWhereThereIsOne as security,
  sometimes,
  wholeNumber,
} from './parts.ts';
import { nameParameter, requestFields } from './regions.ts';

const changed = { ETag: always('Of what is there now. Strong.', { type: 'string', pattern: '^"[!-~]+"$' }) };
const waited = { 'Preference-Applied': sometimes('`wait=N`, where the client said how long it would wait.') };
const preconditions = { 'if-match': 'RFC 9110 13.1.1', 'if-none-match': 'RFC 9110 13.1.2: `*` only makes.' };
const patience = { prefer: '`wait=N`: seconds that it may wait for its pages (RFC 7240 4.3). Default 10.' };

/** `PUT /regions/{name}`. */
export const putRoute: RouteDocument = {
  operationId: 'writeRegion',
  summary: 'Make or replace a region, or overwrite a range of it in place',
  tags: ['regions'],
  security,
  params: nameParameter,
  headers: requestFields({
    ...preconditions,
    ...patience,
    'content-range': '`bytes a-b/*` or `bytes a-b/N`: overwrite this range in place (RFC 9110 14.5).',
    'content-digest': 'Is checked (RFC 9530 2).',
    'repr-digest': 'Is checked, of a whole (RFC 9530 3).',
  }),
  body: { content: { '*/*': { schema: { type: 'string', format: 'binary' } } } },
  response: {
    201: bodiless('Made, and durable.', { ...changed, Location: always('Where it is.') }),
    204: bodiless('Replaced by a new generation, or overwritten in place; durable.', { ...changed, ...waited }),
    ...failures(
      'bad-query',
      'bad-name',
      'bad-range',
      'bad-request',
      'digest-malformed',
      'digest-mismatch',
      'unauthorized',
      'region-not-found',
      'method-not-allowed',
      'request-timeout',
      'name-conflict',
      'range-busy',
      'precondition-failed',
      'payload-too-large',
      'unsupported-media-type',
      'range-not-satisfiable',
      'misdirected',
      'busy',
      'draining',
      'starting',
      'other-writer',
      'tree-moved',
      'no-space',
    ),
  },
};

/** `PATCH /regions/{name}`. */
export const patchRoute: RouteDocument = {
  operationId: 'resizeRegion',
  summary: 'Change how many bytes a region has',
  tags: ['regions'],
  security,
  params: nameParameter,
  headers: requestFields({ ...preconditions, ...patience }),
  body: {
    content: {
      'application/merge-patch+json': { schema: objectOf({ size: { ...wholeNumber, description: 'Bytes.' } }) },
    },
  },
  response: {
    204: bodiless('It has this size now.', { ...changed, ...waited }),
    ...failures(
      'bad-query',
      'bad-name',
      'bad-request',
      'unauthorized',
      'region-not-found',
      'method-not-allowed',
      'range-busy',
      'precondition-failed',
      'payload-too-large',
      'unsupported-media-type',
      'misdirected',
      'busy',
      'draining',
      'starting',
      'other-writer',
      'tree-moved',
      'no-space',
    ),
  },
};

/** `DELETE /regions/{name}`. */
export const deleteRoute: RouteDocument = {
  operationId: 'deleteRegion',
  summary: 'Remove a region: its name at once, its pages when nobody sends them',
  tags: ['regions'],
  security,
  params: nameParameter,
  headers: requestFields(preconditions),
  response: {
    204: bodiless('The name is gone.'),
    ...failures(
      'bad-query',
      'bad-name',
      'unauthorized',
      'region-not-found',
      'method-not-allowed',
      'precondition-failed',
      'misdirected',
      'busy',
      'draining',
      'starting',
      'other-writer',
      'tree-moved',
    ),
  },
};

const leaseFields = {
  id: { type: 'string', description: 'Who knows it can end the lease.' },
  region: { type: 'string' },
  first: wholeNumber,
  last: { ...wholeNumber, description: 'Inclusive.' },
  expiresAt: { type: 'string', format: 'date-time' },
  path: { type: 'string', description: 'The file to be mapped.' },
  owner: { type: 'string', description: 'A name that it gave itself, and where it asked from.' },
};
const lease = component('Lease', objectOf(leaseFields));
const ttlSeconds = { type: 'number', exclusiveMinimum: 0, maximum: longestTtl };
const leaseId = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] };

/** `POST /leases`. */
export const takeLeaseRoute: RouteDocument = {
  operationId: 'takeLease',
  summary: 'Have a range for a process on this machine that writes to it by itself',
  tags: ['leases'],
  security,
  headers: requestFields(patience),
  body: {
    content: {
      'application/json': {
        schema: objectOf(
          {
            region: { type: 'string' },
            first: wholeNumber,
            last: wholeNumber,
            ttlSeconds,
            owner: { type: 'string', maxLength: 100 },
          },
          ['owner'],
        ),
      },
    },
  },
  response: {
    201: json('Nobody sends these pages, and nobody will before the lease ends.', lease, {
      Location: always('Where it is renewed and ended.'),
      ...waited,
    }),
    ...failures(
      'bad-name',
      'bad-request',
      'unauthorized',
      'region-not-found',
      'range-busy',
      'payload-too-large',
      'unsupported-media-type',
      'range-not-satisfiable',
      'misdirected',
      'busy',
      'draining',
      'starting',
      'other-writer',
      'tree-moved',
    ),
  },
};

/** `GET /leases`. */
export const listLeasesRoute: RouteDocument = {
  operationId: 'listLeases',
  summary: 'Leases that are held now, in pages',
  tags: ['leases'],
  security,
  querystring: pageQuery({ type: 'string' }),
  response: {
    200: json('Leases, sorted by id.', objectOf({ leases: { type: 'array', items: lease } }), pageFields),
    ...failures('bad-query', 'unauthorized', 'misdirected'),
  },
};

/** `PUT /leases/{id}`. */
export const renewLeaseRoute: RouteDocument = {
  operationId: 'renewLease',
  summary: 'Have a lease end later',
  tags: ['leases'],
  security,
  params: leaseId,
  body: { content: { 'application/json': { schema: objectOf({ ttlSeconds }) } } },
  response: {
    200: json('It ends so many seconds from now.', lease),
    ...failures(
      'bad-request',
      'unauthorized',
      'lease-not-found',
      'payload-too-large',
      'unsupported-media-type',
      'misdirected',
    ),
  },
};

/** `DELETE /leases/{id}`. */
export const endLeaseRoute: RouteDocument = {
  operationId: 'endLease',
  summary: 'End a lease',
  tags: ['leases'],
  security,
  params: leaseId,
  response: { 204: bodiless('It has ended.'), ...failures('unauthorized', 'lease-not-found', 'misdirected') },
};
