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

/** Whether a kernel symbol of this name copies. */
export function copies(name: string): boolean {
  return copying.some((pattern) => pattern.test(name));
}

/** Reads what `perf report -F sample,symbol -t ';'` printed: one line a symbol, as `12 ;[k] name`, `[k]` for the kernel's. */
export function profileOf(report: string) {
  const symbols = [...report.matchAll(/^\s*(\d+)\s*;\[(.)\] (\S.*?)\s*$/gm)].map(([, samples, where, name = '']) => {
    return { name, samples: Number(samples), copies: where === 'k' && copies(name) };
  });
  const sum = (some: typeof symbols) => some.reduce((total, { samples }) => total + samples, 0);
  return { samples: sum(symbols), copying: sum(symbols.filter((symbol) => symbol.copies)), symbols };
}
