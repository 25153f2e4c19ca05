/* Inodes: what all openings of one file share. */
#ifndef PR_INODE_H
#define PR_INODE_H

#include <stdint.h>

#include "base/bucket.h"
#include "base/list.h"

struct pr_relay;

/*
 * Who has claims on the file's pages, and how far it was changed in place. It lives as long as one opening does, so the
 * file's number can't become another's.
 */
struct pr_inode {
    uint64_t epoch, version;
    unsigned changing;                             /* leases under which the file may change now */
    unsigned waiting_writers, waiting_for_sockets; /* of these, those whose needs are PR_NEEDS_ACCEPTED */
    unsigned waiting_again;                        /* of these, those that had their lease for nothing before */
    struct pr_list claims;                         /* in the order of asking */
    uint64_t device, number;
    struct pr_relay *relay;
    struct pr_list generations; /* open ones, and closed ones with references; one at least */
    uint64_t retired;           /* the generation whose end shall be told, or 0 */
    struct pr_list claimed;     /* of the relay, while there are any */
    struct pr_list bucket;      /* of those whose hashes are alike */
    struct pr_bucket sent;      /* what goes out of it, where that is limited */
};

/* Buckets of inodes: a few inodes in each when as many files are open as a service keeps. */
enum { PR_INODE_BUCKETS = 1 << 12 };

/* All under all locks. */

/* The one of this file, or NULL where no generation of it is open. */
struct pr_inode *pr_inode_find(struct pr_relay *relay, uint64_t device, uint64_t number);

/* The same, made where there is none; `generation` is the node by which it has this generation too. NULL: no memory. */
struct pr_inode *pr_inode_take(struct pr_relay *relay, uint64_t device, uint64_t number, struct pr_list *generation);
/* It has it no more, and goes with the last one. */
void pr_inode_give(struct pr_inode *inode, struct pr_list *generation);

/* An event tells of this generation when the inode goes. 0 or -ENOMEM. */
int pr_inode_retire(struct pr_inode *inode, uint64_t generation);

#endif
