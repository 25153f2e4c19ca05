/*
 * How large the folios are that a file of tmpfs keeps a range in. A hole takes only whole folios out of a file: inside
 * a larger one that somebody still refers to (a socket's queue), the bytes are zeroed where they are.
 */
#ifndef PR_FOLIOS_H
#define PR_FOLIOS_H

#include <stdint.h>

/*
 * 1: every page of the range is known to be a folio by itself, or a hole. 0: some are not, or nobody can tell. Takes no
 * memory for holes. May take long, needs no relay and touches none; the descriptor is the caller's, who does not use
 * its position.
 *
 * True for as long as pages of the range are in flight: the kernel makes no large folio of those (EAGAIN, -EBUSY). So
 * ask when no new ones can come, under a lease.
 */
int pr_folios_are_small(int fd, uint64_t offset, uint64_t length);

#endif
