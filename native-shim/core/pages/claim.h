/*
 * Claims on pages: leases, and places in the queue for them.
 *
 * Whoever wants pages that somebody else has waits in one queue for each file, in the order of asking: a claim is
 * granted when nothing that it can't be shared with is held, or was asked for earlier. So readers can't keep a writer
 * out by coming again and again, nor writers a reader.
 */
#ifndef PR_CLAIM_H
#define PR_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct pr_generation;
struct pr_generation_info;
struct pr_inode;
struct pr_kept;
struct pr_reference;
struct pr_relay;
struct pr_segment;

/* What a writer has to wait for. */
enum pr_needs {
    PR_NEEDS_DONE,     /* references to its pages, until they are done: it changes the pages themselves */
    PR_NEEDS_ACCEPTED, /* until the socket has the bytes: it writes to fresh pages */
    PR_NEEDS_NOTHING,  /* no reference, only other writers: it changes no byte that is held */
};

/*
 * Asks for a lease on whole pages that cover `length` bytes from `offset`, up to UINT64_MAX for no end. 1: it is
 * granted; 0: an event will tell (never when `wait` is false: then -EAGAIN); -EBUSY: pages are quarantined, so that
 * nobody can say when they can be had; -EUSERS: too many writers of this file wait already.
 */
int pr_lease(struct pr_relay *relay, uint64_t generation, uint64_t offset, uint64_t length, enum pr_needs needs,
             bool wait, uint64_t *lease);

/*
 * A lease that was had with lesser needs, and has not begun, waits for these, in its old place in the queue. Results as
 * of pr_lease; where that refuses it, it is gone.
 */
int pr_lease_wait(struct pr_relay *relay, uint64_t lease, enum pr_needs needs);

/*
 * Bytes are about to change, or may have changed without notice: the version moves, in this epoch, for the file and for
 * the generation that was leased; by one step, so whoever answers from that goes on at the new one. Fills in the new
 * version. -EBADF for a lease that isn't granted.
 */
int pr_lease_begin(struct pr_relay *relay, uint64_t lease, uint64_t epoch, uint64_t *version);

/* The file's size or time is about to change, but no byte that is served: the version stays. */
int pr_lease_touch(struct pr_relay *relay, uint64_t lease);

/*
 * Ends a lease, or the waiting for one. With `ours`, what was done to the file under it is not taken for
 * others' doing: every opening of the file knows its time of now; `info` (may be NULL) tells.
 */
int pr_lease_end(struct pr_relay *relay, uint64_t lease, bool ours, struct pr_generation_info *info);

/* A reader's place in the queue, for pr_hold; results as of pr_lease. */
int pr_place(struct pr_relay *relay, uint64_t generation, const struct pr_segment *segments, size_t count,
             uint64_t *place);
int pr_place_end(struct pr_relay *relay, uint64_t place);

/* For the other parts of the core. */

struct pr_pages {
    uint64_t first, end; /* bytes: whole pages, half-open */
};

/* A place in the queue for an inode's pages: a writer's becomes a lease, a reader's is exchanged for a reference. */
struct pr_claim {
    uint64_t id;
    struct pr_generation *generation; /* kept open by it */
    bool writer, granted;
    bool begun; /* the file may change now */
    bool again; /* it was granted for nothing before */
    enum pr_needs needs;
    struct pr_kept *kept; /* for those who have not sent bytes of it yet, until it is granted again; or NULL */
    struct pr_list queue; /* of its inode */
    size_t count;
    struct pr_pages pages[];
};

/* Under any lock: may a reference be taken on these pages now, by the holder of `place` (may be NULL)? */
bool pr_pages_free(const struct pr_generation *generation, const struct pr_claim *place,
                   const struct pr_segment *segments, size_t count);
/* Under all locks. */

/* A lease that is granted, or NULL. */
struct pr_claim *pr_lease_find(struct pr_relay *relay, uint64_t id);
/* A reader's place in the queue that is called `id`, or NULL. */
struct pr_claim *pr_place_find(struct pr_relay *relay, uint64_t id);
/* After references became smaller or went, or sockets have taken bytes: grants leases that waited for that. */
void pr_claims_settle(struct pr_inode *inode);
void pr_claim_end(struct pr_claim *claim);
/* Whether a reference stands in the way of a writer that waits. */
bool pr_is_waited_for(const struct pr_reference *reference);

#endif
