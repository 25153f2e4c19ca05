import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopbackAddress, isLoopbackHost } from '../../../src/http/guard/loopback-host.ts';

const loopback = [
  'localhost',
  'localhost:8080',
  'localhost:',
  'LocalHost:80',
  'localhost.',
  'localhost.:80',
  'app.localhost',
  'a.b-c.localhost.:1',
  '127.0.0.1',
  '127.0.0.1:8080',
  '127.255.255.254:1',
  '[::1]',
  '[::1]:8080',
  '[0:0:0:0:0:0:0:1]:80',
];

for (const host of loopback) {
  test(`Host: ${host} is loopback`, () => assert.equal(isLoopbackHost(host), true));
}

const others = [
  undefined,
  '',
  ':80',
  'example.org',
  'example.org:8080',
  'localhost.example.org',
  'localhost:80.example.org',
  'localhost:8080x',
  'localhost:80:80',
  'localhost..',
  '.localhost',
  'notlocalhost',
  'a..localhost',
  'local host',
  'user@localhost',
  'localhost/',
  '127.0.0.1.example.org',
  '127.0.0.1.',
  '127.1',
  '127.0.0.01',
  '0x7f.0.0.1',
  '2130706433',
  '0.0.0.0',
  '128.0.0.1',
  '10.0.0.1',
  '::1',
  '[::1',
  '[::]',
  '[::2]',
  '[::1%lo]',
  '[fe80::1]',
  '[127.0.0.1]',
  '[localhost]',
  '[::1].example.org',
  'localhost\n',
];

for (const host of others) {
  test(`Host: ${JSON.stringify(host)} is not loopback`, () => assert.equal(isLoopbackHost(host), false));
}

test('addresses to listen on are told by their blocks', () => {
  const asked = ['127.0.0.1', '127.1.2.3', '::1', '0:0::1', '0.0.0.0', '::', '192.0.2.1', 'localhost', '[::1]', ''];
  assert.deepEqual(asked.filter(isLoopbackAddress), ['127.0.0.1', '127.1.2.3', '::1', '0:0::1']);
});

test('a name with very many labels is judged before the test times out', () => {
  assert.equal(isLoopbackHost(`${'a.'.repeat(100_000)}localhos`), false);
  assert.equal(isLoopbackHost('a'.repeat(100_000)), false);
});
