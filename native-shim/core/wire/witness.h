/*
 * Experiments that show what this kernel does with pages, on scratch memory: nothing is concluded from its version.
 * Each sends pages to a socket of our own whose other end does not read, changes them, and then looks at what that end
 * gets.
 */
#ifndef PR_WITNESS_H
#define PR_WITNESS_H

#include <stdint.h>

#include "base/words.h"
#include "pages/overwrite.h"

/* Where scratch pages come from. */
enum pr_scratch {
    PR_SCRATCH_FOLDER, /* a nameless file on the file system of a folder */
    PR_SCRATCH_MEMFD,
    PR_SCRATCH_HUGETLB, /* a memfd of huge pages */
    PR_SCRATCH_DEVICE,  /* the first pages of a devdax device that nobody uses: they are put back as they were */
};

/* 0 and a descriptor of at least `*size` bytes that the caller closes; or -errno. `path` may be NULL for memfds. */
int pr_scratch_open(enum pr_scratch kind, const char *path, int *fd, uint64_t *size);

/* A memfd of huge pages that are set aside: its descriptor, which the caller closes, or -errno (-ENOSPC: none free). */
int pr_huge_memfd(const char *name, uint64_t size);

/*
 * Does this engine send the pages themselves? Overwrites pages that were sent and acknowledged: if the peer then reads
 * the new bytes, they were. 1; 0 when it copies; -errno when it can't send from there at all (EINVAL).
 */
int pr_witness_copy_free(int fd, uint64_t size, enum pr_engine engine);

/* As the kernel says it of MSG_ZEROCOPY, of a send to this machine. 1: it copied on delivery; 0; or -errno. */
int pr_witness_notice_says_copied(int fd, uint64_t size);

/*
 * Do pages that are still being sent stay as they are when they are overwritten by these means? Sends pages of the file
 * at `path` (made and removed here; on the file system in question) by sendfile and by splice, and overwrites them: old
 * bytes mean yes. 1, 0, or -errno.
 */
int pr_witness_means(const char *path, enum pr_means means);

#endif
