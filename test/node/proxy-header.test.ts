/** The PROXY protocol as Node reads it. Lanes are tested alike (native-shim/test/proxy.c), and both together in integration. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, readProxyHeader } from '../../src/node/proxy-header.ts';
import { headers, wrongHeaders } from '../support/proxy-header.ts';

const clients: Record<keyof typeof headers, string | undefined> = {
  four: '192.0.2.1',
  six: '2001:db8::1',
  unix: undefined,
  local: undefined,
  unspecified: undefined,
  trusted: '10.0.0.1',
  tlvs: '192.0.2.1',
  summed: '192.0.2.1',
};

for (const [name, header] of Object.entries(headers)) {
  test(`a header (${name}) is read when it is whole, and not what follows it`, () => {
    for (let length = 0; length < header.length; length++)
      assert.equal(readProxyHeader(header.subarray(0, length)), 'part', `${length} bytes`);
    const address = clients[name as keyof typeof headers];
    const expected = { length: header.length, client: address === undefined ? undefined : { address, port: 4660 } };
    assert.deepEqual(readProxyHeader(header), expected);
    assert.deepEqual(readProxyHeader(Buffer.concat([header, Buffer.from('GET')])), expected);
  });
}

test('what is no header, or a wrong one, is foreign', () => {
  for (const [each, header] of wrongHeaders.entries()) assert.equal(readProxyHeader(header), 'foreign', `${each}`);
});

test('the checksum is CRC-32C', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283); // RFC 3720 B.4's polynomial, the usual check value
});
