/*
 * Writing past the page cache (O_DIRECT). Where a file system writes so, it drops the cached pages of the range,
 * whoever refers to them: a socket's queue keeps the old ones. Where it does not, it accepts the call all the same and
 * writes to the cached pages.
 */
#ifndef PR_DIRECT_H
#define PR_DIRECT_H

#include <stdint.h>

/* Addresses and offsets of direct writes are multiples of this, which is enough wherever pr_direct_alignment says 0. */
enum { PR_DIRECT_ALIGNMENT = 4096 };

/*
 * 0: direct writes of whole pages to this file are known to be what they are called. -EOPNOTSUPP: to this file they are
 * not, or nobody can tell (ext4 with data=journal, inline or encrypted data; file systems other than ext4 and xfs;
 * blocks larger than a page). -errno.
 */
int pr_direct_alignment(int fd);

/*
 * 1: direct writes of the whole pages that cover a range leave every page in flight as it is. 0: not, or nobody can
 * tell: pr_direct_alignment says no, or the range has a part of the file's last page. Needs no relay and touches none;
 * the descriptor is the caller's. Ask under a lease.
 *
 * It holds while nobody stores to the file through a mapping, for the kernel writes to pages that it can't drop; and
 * while nobody sends pages of the range: a send in the middle of the write gets bytes of both.
 */
int pr_direct_fits(int fd, uint64_t offset, uint64_t length);

/* Opens the file of a descriptor once more, for direct reads and writes. A descriptor, or -errno. */
int pr_direct_open(int fd);

#endif
