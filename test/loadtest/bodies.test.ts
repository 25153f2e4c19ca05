import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readMultipart } from '../../loadtest/clients/multipart.ts';
import { openReference } from '../../loadtest/clients/reference.ts';
import { stampedBytes, stampOf } from '../../loadtest/clients/stamped.ts';
import { pathOf } from '../../loadtest/model/request.ts';
import { growTree, regionNames, writtenName } from '../../loadtest/run/tree.ts';
import { folderFor } from './run-loadtest.ts';

describe('a reference', () => {
  test('of a file takes its bytes, and names the first wrong one', (scope) => {
    const path = join(folderFor(scope), 'file');
    writeFileSync(path, 'abcdefgh');
    const reference = openReference({ kind: 'file', path });
    assert.equal(reference(2, Buffer.from('cdef')), undefined);
    const wrong = reference(2, Buffer.from('cdXf')) ?? '';
    assert.match(wrong, /sha-256 of bytes 2-5 is .*1 wrong, the first at offset 4: 0x58, not 0x65/);
    assert.match(reference(6, Buffer.from('ghi')) ?? '', /should have ended|not nothing/);
  });

  const block = 65_536;
  const reference = openReference({ kind: 'stamped', blockBytes: block });

  test('of stamped blocks takes each whole block of any one write', () => {
    const body = Buffer.concat([stampedBytes(block, block, 3), stampedBytes(2 * block, block, 12)]);
    assert.equal(reference(block, body), undefined);
    assert.equal(stampOf(body), 3);
    assert.equal(reference(block + 4096, body.subarray(4096)), undefined);
  });

  test('of stamped blocks finds a torn one, and one that is none', () => {
    const torn = Buffer.concat([stampedBytes(0, 4096, 3), stampedBytes(4096, block - 4096, 4)]);
    assert.match(reference(0, torn) ?? '', /torn: of write 3 in part only.*the first at offset 4109/);
    assert.match(reference(0, Buffer.alloc(block)) ?? '', /are no write's/);
    assert.match(reference(0, stampedBytes(block, block, 3)) ?? '', /torn/);
  });

  test('of a tree holds all its regions, one behind the other, and a written one is stamped', (scope) => {
    const tree = growTree(folderFor(scope), 3, 2 ** 16, true);
    const all = openReference({ kind: 'file', path: tree.content });
    for (const region of [0, 1, 2]) {
      const body = readFileSync(join(tree.folder, pathOf({ path: regionNames }, region)));
      assert.deepEqual([body.length, all(region * 2 ** 16, body)], [2 ** 16, undefined]);
    }
    assert.equal(reference(0, readFileSync(join(tree.folder, writtenName))), undefined);
  });
});

describe('multipart/byteranges', () => {
  const type = 'multipart/byteranges; boundary=xyz';
  const part = (first: number, text: string) =>
    `--xyz\r\nContent-Type: a/b\r\nContent-Range: bytes ${first}-${first + text.length - 1}/100\r\n\r\n${text}\r\n`;

  test('is read into its parts', () => {
    const parts = readMultipart(type, Buffer.from(`${part(0, 'abc')}${part(50, '--xyz')}--xyz--\r\n`), 100);
    assert.deepEqual(
      parts.map(({ span, bytes }) => [span, bytes.toString()]),
      [
        [[0, 2], 'abc'],
        [[50, 54], '--xyz'],
      ],
    );
  });

  for (const [what, body] of [
    ['a wrong boundary', '--abc\r\n'],
    ['a part without a range', '--xyz\r\nContent-Type: a/b\r\n\r\nabc\r\n--xyz--\r\n'],
    ['a part of another size', `${part(0, 'abc').replace('/100', '/101')}--xyz--`],
    ['no end', part(0, 'abc')],
    ['a part that is too short', `${part(0, 'abc').replace('0-2', '0-9')}--xyz--`],
  ] as const) {
    test(`with ${what} is refused`, () => assert.throws(() => readMultipart(type, Buffer.from(body), 100)));
  }
});
