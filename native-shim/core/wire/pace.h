/*
 * Bandwidth: how much of a transmission may go out now. A connection's own rate is its owner's business alone; what
 * transmissions of a region have together is taken from a bucket that they share, more at a time than one send needs.
 */
#ifndef PR_PACE_H
#define PR_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"

struct pr_connection;
struct pr_inode;
struct pr_poller;

/* Bytes that were taken from a shared bucket and are not sent yet. */
struct pr_credit {
    uint64_t rate; /* of the bucket, bytes a second; 0 for any number */
    struct pr_bucket *bucket;
    uint64_t bytes, taken_at;
};

struct pr_pace {
    bool is_limited; /* in any way */
    bool is_full;    /* its socket took no more, and has not told of room since */
    bool is_flushed; /* since anything was sent */
    uint64_t rate;   /* of its own, bytes a second; 0 for any number */
    struct pr_bucket own;
    struct pr_credit of_region;
    uint64_t until; /* ns: while it waits in its lane */
};

/* Under all locks, when the connection is made: by the limits that hold now. */
void pr_pace_begin(struct pr_connection *connection);

/* The owner, without a lock: how many bytes of `wanted` may go out now. 0: it waits (pr_pace_wait). */
uint64_t pr_pace_allow(struct pr_connection *connection, uint64_t wanted);
/* So many went out, be it more than were allowed: what is copied in one call with its head. */
void pr_pace_charge(struct pr_connection *connection, uint64_t sent, bool can_go_on);
/* Its lane: nothing may go out for a while. */
void pr_pace_wait(struct pr_connection *connection);

/* Under its part's lock: who has waited long enough has its turn again. Returns when the next one has; UINT64_MAX when
 * none waits. */
uint64_t pr_pace_end_waits(struct pr_poller *poller, uint64_t now);

#endif
