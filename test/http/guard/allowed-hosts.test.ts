import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AllowedHosts, isAllowable } from '../../../src/http/guard/allowed-hosts.ts';

const allowable = [
  '*',
  'example.org',
  'example.org:8080',
  'Files',
  'a_b.local',
  '10.0.0.1',
  '[fe80::1]',
  '[fe80::1]:80',
];
const others = [
  '',
  ' ',
  'a b',
  'a/b',
  'http://a',
  'a:',
  ':80',
  'a:b',
  'a:123456',
  'user@a',
  'fe80::1',
  '[x]',
  '*.a',
  'a,b',
];

test('a host with or without a port can be allowed, and nothing else', () => {
  assert.deepEqual([...allowable, ...others].filter(isAllowable), allowable);
});

test('without any other, hosts of the loopback are allowed, and requests without a host', () => {
  const hosts = new AllowedHosts([]);
  for (const host of [undefined, 'localhost', 'localhost:80', '127.0.0.1:8080', '[::1]']) assert.ok(hosts.allows(host));
  for (const host of ['', 'example.org', '10.0.0.1', '*', 'localhost.example.org'])
    assert.ok(!hosts.allows(host), host);
});

test('a host is allowed with any port, and one with a port with that alone', () => {
  const hosts = new AllowedHosts(['Example.org', 'files:8080', '[fe80::1]']);
  const allowed = [
    'example.org',
    'EXAMPLE.ORG:80',
    'example.org:',
    'files:8080',
    '[fe80::1]:1',
    'localhost',
    undefined,
  ];
  for (const host of allowed) assert.ok(hosts.allows(host), host);
  const refused = ['files', 'files:80', 'a.example.org', 'example.org.evil', 'example.org:80:80', '[fe80::2]', ''];
  for (const host of refused) assert.ok(!hosts.allows(host), host);
});

test('an asterisk allows every host', () => {
  const hosts = new AllowedHosts(['*']);
  for (const host of ['evil.example', '', '10.0.0.1:5']) assert.ok(hosts.allows(host));
});
