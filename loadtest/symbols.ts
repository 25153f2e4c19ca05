/** Which samples of a profile were taken while the kernel copied bytes of bodies. @module */

/**
 * Routines that copy between memory of a process, or pages of a file, and a socket's own buffers; `skb_copy_ubufs` with
 * its `memcpy` is what MSG_ZEROCOPY ends in where the peer is on the same machine. Where the processor
 * has fast string instructions they are inlined into the first ones; else the later ones do it (arch/x86/lib,
 * lib/iov_iter.c, net/core/skbuff.c).
 */
const copying: readonly RegExp[] = [
  /^_?copy_(?:from|to)_(?:iter|user)|^copy_(?:page|folio)_(?:from|to)_iter|^copy_mc|^copy_user_|^copyin$|^copyout$/,
  /^(?:raw|__asm)_copy_(?:from|to)_user|^rep_movs|^(?:__|__pi_)?memcpy(?:_|$)/,
  /^skb_copy_(?:bits|datagram|and_csum|ubufs)|^csum_partial_copy|^csum_and_copy/,
  /^skb_(?:copy_)?add_data_nocache|^skb_do_copy_data_nocache/,
];

/** One symbol of a profile: how many samples were taken in it. */
export type Symbol = { readonly name: string; readonly samples: number; readonly copies: boolean };

/** A profile of one process. */
export type Profile = { readonly samples: number; readonly copying: number; readonly symbols: readonly Symbol[] };

/** Whether a kernel symbol of this name copies. */
export function copies(name: string): boolean {
  return copying.some((pattern) => pattern.test(name));
}

/** Reads what `perf script -F ip,sym,dso` printed: one line a sample, as `ffffffff81 name ([kernel.kallsyms])`. */
export function profileOf(script: string): Profile {
  const counts = new Map<string, number>();
  for (const line of script.split('\n')) {
    const [, name = '', dso = ''] = /^\s*[0-9a-f]+\s+(\S.*?)\s+\((.*)\)\s*$/.exec(line) ?? [];
    if (name === '') continue;
    const key = dso.startsWith('[kernel') ? name : `${name} (user)`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const all = [...counts].map(([name, samples]) => ({
    name,
    samples,
    copies: copies(name) && !name.endsWith('(user)'),
  }));
  const sum = (symbols: readonly Symbol[]) => symbols.reduce((total, { samples }) => total + samples, 0);
  const symbols = all.sort((one, other) => other.samples - one.samples);
  return { samples: sum(symbols), copying: sum(symbols.filter((symbol) => symbol.copies)), symbols };
}
