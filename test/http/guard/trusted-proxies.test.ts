/** Who asks, where proxies say so. Lanes judge alike (native-shim/test/proxy.c). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustedProxy, TrustedProxies } from '../../../src/http/guard/trusted-proxies.ts';

function trusting(...texts: string[]): TrustedProxies {
  return new TrustedProxies(texts.map(parseTrustedProxy).filter((proxy) => proxy !== undefined));
}

const rows: readonly (readonly [forwardedFor: string | undefined, client: string])[] = [
  [undefined, '10.0.0.9'],
  ['', '10.0.0.9'],
  ['192.0.2.1', '192.0.2.1'],
  ['203.0.113.9, 192.0.2.1', '192.0.2.1'],
  ['203.0.113.9, 192.0.2.1, 10.1.2.3,10.9.9.9', '192.0.2.1'],
  ['10.1.1.1, 10.2.2.2', '10.1.1.1'],
  ['unknown, 10.2.2.2', '10.2.2.2'],
  ['192.0.2.1, unknown', '10.0.0.9'],
  ['192.0.2.1,', '10.0.0.9'],
  [' \t192.0.2.1:4660 ', '192.0.2.1'],
  ['192.0.2.1:', '10.0.0.9'],
  ['192.0.2.1:x', '10.0.0.9'],
  ['192.0.2.1:123456', '10.0.0.9'],
  ['192.0.2.256', '10.0.0.9'],
  ['192.0.2.01', '10.0.0.9'],
  ['2001:DB8::0:1', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:80', '2001:db8::1'],
  ['[2001:db8::1', '10.0.0.9'],
  ['[2001:db8::1]80', '10.0.0.9'],
  ['[192.0.2.1]', '10.0.0.9'],
  ['fe80::1%eth0', '10.0.0.9'],
  ['192.0.2.7, ::ffff:10.1.2.3', '192.0.2.7'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['192.0.2.7, fd00:0:0:1::5', '192.0.2.7'],
  ['192.0.2.7, fd00:0:0:2::5', 'fd00:0:0:2::5'],
];

test('of what a trusted proxy says the last address counts that is not trusted', () => {
  const proxies = trusting('10.0.0.0/8', 'fd00:0:0:1::/63');
  for (const [forwardedFor, client] of rows)
    assert.equal(proxies.clientOf('10.0.0.9', forwardedFor), client, forwardedFor);
});

test('what others say does not count', () => {
  assert.equal(trusting('10.0.0.0/8').clientOf('192.0.2.5', '203.0.113.9'), '192.0.2.5');
  assert.equal(trusting().clientOf('127.0.0.1', '203.0.113.9'), '127.0.0.1');
  assert.equal(trusting('10.0.0.0/8').clientOf(undefined, '203.0.113.9'), undefined, 'at a unix socket');
  assert.equal(trusting('unix:').clientOf(undefined, '203.0.113.9'), '203.0.113.9');
  assert.equal(trusting('unix:').clientOf('127.0.0.1', '203.0.113.9'), '127.0.0.1');
});

test('an address of IPv4 is the same where it is mapped into IPv6, and every address is in ::/0', () => {
  assert.deepEqual(
    ['10.1.1.1', '::ffff:10.1.1.1', '11.1.1.1', '::a'].map((address) => trusting('10.0.0.0/8').trusts(address)),
    [true, true, false, false],
  );
  assert.deepEqual(
    ['10.1.1.1', '::1'].map((address) => trusting('::/0').trusts(address)),
    [true, true],
  );
});

test('a network is written with its length, and nothing else is one', () => {
  for (const text of ['', '10.0.0.0', '10.0.0.0/33', '10.0.0/8', '::/129', 'unix', 'unix:/a', 'localhost'])
    assert.equal(parseTrustedProxy(text), undefined, text);
});
