/** What lanes are told to answer by themselves, and what they are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import { Publisher, type PublisherOptions } from '../../../src/http/read/publish.ts';
import type { Fields, GivenFields } from '../../../src/http/read/region-headers.ts';
import type { Region } from '../../../src/region/region.ts';
import type { BackingEngine } from '../../../src/relay/engine.ts';
import type { LaneAnswers } from '../../../src/relay/lane-answers.ts';
import type { Publication } from '../../../src/relay/publication.ts';

const lastModified = new Date('2026-01-02T03:04:05Z');
const region = {
  name: 'a b.bin',
  contentType: 'application/octet-stream',
  content: { generation: { id: 7, size: 1000 }, epoch: 3, version: 5 },
  etag: '"tag"',
  lastModified,
  lastModifiedField: lastModified.toUTCString(),
} as unknown as Region;
const engines = { engine: 'sendfile', large: 'splice', largeFrom: 65_536 } as BackingEngine;
const asked = { path: '/regions/a%20b.bin', host: 'localhost', authorization: undefined as string | undefined };

/** Publishes what it is asked to, and what a relay was told. */
function makePublisher(options: Partial<PublisherOptions> = {}) {
  const told = {
    published: [] as Publication[],
    hosts: [] as string[],
    readers: [] as string[],
    withdrawn: 0,
    forgotten: 0,
  };
  const relay = {
    publish: (publication: Publication) => told.published.push(publication),
    allowHost: (host: string) => told.hosts.push(host),
    allowReader: (reader: string) => told.readers.push(reader),
    withdraw: () => told.withdrawn++,
    forgetAllowed: () => told.forgotten++,
    handOverAll: () => {},
    isSuspended: false,
  };
  const locate = (name: string) => ({ tree: { id: 9, path: '/t', root: '/r' }, path: name });
  const all = {
    copyBelow: 512,
    copyFirstBelow: 1024,
    locate,
    mayRead: undefined,
    onFault: () => assert.fail(),
    ...options,
  };
  const publisher = new Publisher(relay as unknown as LaneAnswers, all);
  const publish = ({
    of = region,
    given = {},
    by = engines,
    forOrigin = {},
    ...request
  }: Partial<typeof asked> & {
    of?: Region;
    given?: GivenFields;
    by?: BackingEngine;
    forOrigin?: Fields;
    originalUrl?: string;
  } = {}) => {
    const { path, host, authorization } = { ...asked, ...request };
    const { originalUrl = path } = request;
    publisher.publish(
      { raw: { url: path }, originalUrl, headers: { host, authorization } } as FastifyRequest,
      of,
      given,
      by,
      forOrigin,
    );
  };
  return { publisher, publish, told, relay };
}

test('a region is published with what its answers are made of, in the order that Node writes it', () => {
  const { publish, told } = makePublisher();
  publish({ given: { contentDisposition: 'inline', others: { 'x-one': ['1', '2'] } } });
  assert.deepEqual(told.published, [
    {
      ...{ path: '/regions/a%20b.bin', generation: 7, epoch: 3, version: 5, tree: 9, name: 'a b.bin' },
      ...{ etag: '"tag"', lastModified: 'Fri, 02 Jan 2026 03:04:05 GMT' },
      fields:
        'accept-ranges: bytes\r\n' +
        'cache-control: no-cache\r\nx-content-type-options: nosniff\r\ncontent-security-policy: sandbox\r\n' +
        'x-one: 1\r\nx-one: 2\r\n',
      contentType: 'content-type: application/octet-stream\r\n',
      others: 'content-disposition: inline; filename="a b.bin"\r\n',
      originFields: '',
      ...{
        engine: 'sendfile',
        large: 'splice',
        largeFrom: 65_536,
        copyBelow: 512,
        copyFirstBelow: 1024,
        anyOrigin: false,
        oneVersion: false,
      },
    },
  ]);
  assert.deepEqual(told.hosts, ['localhost']);
});

test('what pages of an origin are told is published as of problems too', () => {
  const { publish, told } = makePublisher();
  const forOrigin = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'etag' };
  publish({ given: { others: { ...forOrigin, 'x-own': '1' } }, forOrigin });
  const lines = 'access-control-allow-origin: *\r\naccess-control-expose-headers: etag\r\n';
  assert.equal(told.published[0]?.originFields, lines);
  assert.equal(told.published[0]?.anyOrigin, true);
  assert.match(told.published[0]?.fields ?? '', /etag\r\nx-own: 1\r\n$/);
});

test('a region whose time no date can state is published without one', () => {
  const { publish, told } = makePublisher();
  publish({ of: { ...region, lastModified: undefined, lastModifiedField: undefined } });
  assert.equal(told.published[0]?.lastModified, '');
  assert.doesNotMatch(told.published[0]?.fields ?? '', /last-modified/);
});

for (const path of [
  '/regions/a"b',
  '/regions/a\\b',
  '/regions/a b',
  '/regions/é',
  '/regions/a\u0001',
  '/regions/a%20b.bin?',
  '/regions/a%20b.bin?version=tag',
  '/regions/x?1/a%20b.bin',
  '/regions/a#b',
  'http://localhost/regions/a',
  '*',
  '',
]) {
  test(`a region that is asked for by ${JSON.stringify(path)} is not published`, () => {
    const { publish, told } = makePublisher();
    publish({ path });
    assert.deepEqual(told.published, []);
  });
}

test('a region that was asked for by another path than the request had in the end is not published', () => {
  const { publish, told } = makePublisher();
  publish({ originalUrl: '/today' });
  assert.deepEqual([told.published, told.hosts], [[], []]);
});

test('a version is published by the URL that names it, with fields of its own', () => {
  const { publish, told } = makePublisher();
  publish({
    path: '/regions/a%20b.bin?version=tag',
    given: { version: 'tag', cacheControl: 'no-cache', shared: true },
  });
  publish({
    path: '/regions/a%20b.bin?version=%74ag',
    given: { version: 'tag', cacheControl: 'no-cache', shared: true },
  });
  publish({
    path: '/regions/a%20b.bin?version=tag&x',
    given: { version: 'tag', cacheControl: 'no-cache', shared: true },
  });
  publish({ path: '/regions/a%20b.bin', given: { version: 'tag', cacheControl: 'no-cache', shared: true } });
  assert.deepEqual(
    told.published.map(({ path, oneVersion }) => [path, oneVersion]),
    [['/regions/a%20b.bin?version=tag', true]],
  );
  const { fields = '' } = told.published[0] ?? {};
  assert.match(fields, /cache-control: max-age=31536000, immutable\r\n.*content-location: \?version=tag\r\n/s);
  assert.doesNotMatch(fields, /link/);
});

test('the link to the current version is left to lanes, which know it; what else is linked to is told', () => {
  const { publish, told } = makePublisher();
  publish({ given: { version: null, others: { link: '</about>; rel="help"' } } });
  assert.equal(told.published[0]?.fields.match(/link: .*\r\n/g)?.join(), 'link: </about>; rel="help"\r\n');
});

test('a region whose entity-tag would have to be escaped in a URL is not published', () => {
  const { publish, told } = makePublisher();
  publish({ of: { ...region, etag: '"a>b"' } });
  assert.deepEqual(told.published, []);
});

test('an empty region is not published', () => {
  const { publish, told } = makePublisher();
  const generation = { ...region.content.generation, size: 0 };
  publish({ of: { ...region, content: { ...region.content, generation } } });
  assert.deepEqual(told.published, []);
});

test('a region whose time is ahead is not published, for what is told of it is another in each answer', () => {
  const { publish, told } = makePublisher();
  const ahead = new Date(Date.now() + 60_000);
  publish({ of: { ...region, lastModified: ahead, lastModifiedField: ahead.toUTCString() } });
  assert.deepEqual(told.published, []);
});

for (const which of ['engine', 'large'] as const) {
  for (const engine of ['zerocopy', 'stream'] as const) {
    test(`a region is not published whose ${which} is ${engine}`, () => {
      const { publish, told } = makePublisher();
      publish({ by: { ...engines, [which]: engine } });
      assert.deepEqual(told.published, []);
    });
  }
}

for (const given of [{ others: { 'x-name': 'é' } }, { contentType: 'text/plain\u007f' }] as GivenFields[]) {
  test(`a region with a field that is no plain text is not published: ${JSON.stringify(given)}`, () => {
    const { publish, told } = makePublisher();
    publish({ given });
    assert.deepEqual(told.published, []);
  });
}

test('readers are introduced where not everybody may read, and not where everybody may', () => {
  const open = makePublisher();
  open.publish({ authorization: 'Bearer a' });
  assert.deepEqual([open.told.published.length, open.told.readers], [1, []]);
  const guarded = makePublisher({ mayRead: (authorization) => authorization === 'Bearer a' });
  for (let again = 0; again < 2; again++) guarded.publish({ authorization: 'Bearer a' });
  assert.deepEqual([guarded.told.published.length, guarded.told.readers], [1, ['Bearer a']]);
});

test('who may not read any more, though the request was let pass, is not introduced, and nothing is published', () => {
  const valid = new Set(['Bearer old']);
  const { publisher, publish, told } = makePublisher({ mayRead: (authorization) => valid.has(authorization ?? '') });
  publish({ authorization: 'Bearer old' });
  assert.deepEqual(told.readers, ['Bearer old']);
  // The file of tokens is exchanged after a guard has judged the second request, and before it is answered.
  valid.clear();
  valid.add('Bearer new');
  publisher.withdraw();
  publish({ authorization: 'Bearer old', host: 'b.example' });
  assert.deepEqual([told.withdrawn, told.published.length, told.readers, told.hosts.length], [1, 1, ['Bearer old'], 1]);
});

test('after everything was withdrawn, hosts and readers are introduced again', () => {
  const { publisher, publish, told } = makePublisher({ mayRead: () => true });
  for (let again = 0; again < 2; again++) {
    publish({ authorization: 'Bearer a' });
    publisher.withdraw();
  }
  assert.deepEqual(
    [told.hosts, told.readers],
    [
      ['localhost', 'localhost'],
      ['Bearer a', 'Bearer a'],
    ],
  );
});

test('a host that was known long ago, and that lanes have forgotten since, is introduced again', () => {
  const { publish, told } = makePublisher();
  for (let host = 0; host <= 1024; host++) publish({ host: `h${host}` });
  assert.equal(told.forgotten, 1);
  publish({ host: 'h0' });
  assert.equal(told.hosts.filter((host) => host === 'h0').length, 2);
});

test('a request without a host introduces none, and its region is published', () => {
  const { publisher, told } = makePublisher();
  const request = { raw: { url: asked.path }, originalUrl: asked.path, headers: {} } as FastifyRequest;
  publisher.publish(request, region, {}, engines, {});
  assert.deepEqual([told.hosts, told.published.length], [[], 1]);
});

test('nothing is published once it is over', () => {
  const { publisher, publish, told } = makePublisher();
  publisher.close();
  publish();
  assert.deepEqual([told.published, told.hosts], [[], []]);
});

test('a region is published once a second for each of its paths, however often Node answers for it', (t) => {
  const { publish, publisher, told, relay } = makePublisher();
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const count = () => told.published.length;
  for (let times = 0; times < 5; times++) publish();
  assert.equal(count(), 1);
  publish({ path: '/prefix/regions/a%20b.bin' });
  assert.equal(count(), 2, 'another path');
  publish({ of: { ...region } });
  assert.equal(count(), 3, 'the region was changed');
  publish({ host: 'other' });
  assert.deepEqual([count(), told.hosts], [3, ['localhost', 'other']], 'another host is made known');
  publisher.withdraw();
  publish();
  assert.equal(count(), 4, 'it was withdrawn');
  now = 1001;
  publish();
  assert.equal(count(), 5, 'lanes may have dropped it');
  relay.isSuspended = true;
  publish();
  assert.equal(count(), 6, 'lanes answer nothing until something is published');
});
