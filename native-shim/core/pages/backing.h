/* What holds the bytes behind a descriptor, and where. */
#ifndef PR_BACKING_H
#define PR_BACKING_H

#include <stdint.h>
#include <sys/stat.h>

enum pr_backing {
    PR_BACKING_FSDAX,
    PR_BACKING_DEVDAX,
    PR_BACKING_HUGETLB,
    PR_BACKING_TMPFS,
    PR_BACKING_MEMFD,
    PR_BACKING_PAGECACHE,
    PR_BACKING_COUNT,
};

struct pr_backing_info {
    enum pr_backing backing;
    uint64_t size;      /* bytes that can be served */
    uint64_t page_size; /* granularity of holds: the huge page size on hugetlb */
    int node;           /* NUMA node of a DAX device, or -1: then the pages themselves tell (pr_node_of_page) */
};

/* 0, or -errno; -EINVAL when the descriptor is neither a regular file nor a devdax device. */
int pr_backing_of(int fd, struct pr_backing_info *info);

/* What that tells of a regular file on tmpfs. */
void pr_backing_is_tmpfs(const struct stat *status, struct pr_backing_info *info);

/* The NUMA node of the page at a mapped address, or -1. Brings the page in; never raises SIGBUS. */
int pr_node_of_page(const void *address);

#endif
