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
  const script = [
    '        ffffffff81a0 _copy_from_iter ([kernel.kallsyms])',
    '        ffffffff81a4 _copy_from_iter ([kernel.kallsyms])',
    '        ffffffff82b0 tcp_ack ([kernel.kallsyms])',
    '            7f001234 __memcpy_avx (/usr/lib/libc.so.6)',
    '            7f005678 [unknown] (/usr/bin/node)',
    '',
  ];
  const profile = profileOf(script.join('\n'));
  assert.deepEqual([profile.samples, profile.copying], [5, 2]);
  assert.deepEqual(profile.symbols[0], { name: '_copy_from_iter', samples: 2, copies: true });
});
