/* What this layer keeps of a relay. */
#ifndef PR_PAGES_LAYER_H
#define PR_PAGES_LAYER_H

#include <pthread.h>

#include "base/shared.h"
#include "pages/inode.h"

struct pr_pages_layer {
    struct pr_list by_number[PR_INODE_BUCKETS]; /* inodes, by device and number */
    struct pr_list claimed;                     /* those that have claims */
    struct pr_list closing;                     /* generations that are closed, and may be held */
    int only_node;                              /* the NUMA node of a machine that has one; -1 where there are more */
    unsigned disposing;                         /* threads that close a generation */
    pthread_cond_t disposed;
};

void pr_pages_open(struct pr_relay *relay);
/* Under all locks, when nothing but claims refers to generations any more: they are closed. */
void pr_pages_end(struct pr_relay *relay);
/* Without a lock, after that: waits for the threads that close generations, and closes trees. */
void pr_pages_close(struct pr_relay *relay);

#endif
