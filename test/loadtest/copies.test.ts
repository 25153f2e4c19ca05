import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copies, profileOf } from '../../loadtest/symbols.ts';

test('copying routines of several kernels and processors are known by name', () => {
  const known = [
    ...[
      '_copy_from_iter',
      'copy_page_to_iter',
      'copy_user_generic',
      'copy_user_enhanced_fast_string',
      'rep_movs_alternative',
    ],
    ...['copy_folio_from_iter_atomic', '__pi_memcpy', 'memcpy_erms', 'skb_copy_ubufs', 'copyin', '_copy_to_user'],
  ];
  for (const name of known) assert.ok(copies(name), name);
});

test('others are not taken for them', () => {
  const others = ['_raw_spin_unlock_irqrestore', 'skb_clone', 'tcp_sendmsg_locked', 'copy_process', 'splice_to_socket'];
  for (const name of others) assert.ok(!copies(name), name);
});

test('a profile counts samples by symbol, and a copy of the process’s own is not the kernel’s', () => {
  const report = [
    '2           ;[k] _copy_from_iter',
    ' 1          ;[k] tcp_ack           ',
    ' 1          ;[.] __memcpy_avx',
    ' 1          ;[.] 0x00000000000058ad',
    '',
  ];
  const profile = profileOf(report.join('\n'));
  assert.deepEqual([profile.samples, profile.copying], [5, 2]);
  assert.deepEqual(profile.symbols[0], { name: '_copy_from_iter', samples: 2, copies: true });
});
