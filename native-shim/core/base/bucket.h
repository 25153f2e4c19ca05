/*
 * A token bucket: bytes at a rate, which threads share without a lock. What is taken moves the time at which all of it
 * is paid for; a bucket that nobody has taken from for PR_BURST is full.
 */
#ifndef PR_BUCKET_H
#define PR_BUCKET_H

#include <stdatomic.h>
#include <stdint.h>

#define PR_BURST 200000000u /* ns: so much time's bytes may go out at once */

struct pr_bucket {
    atomic_uint_fast64_t paid_at; /* ns */
};

/* So many bytes are in it. */
uint64_t pr_bucket_there(const struct pr_bucket *bucket, uint64_t rate, uint64_t now);
/* So many bytes may be taken now, at `rate` bytes a second: `wanted`, less when there are not so many, or 0 when there
 * are fewer than `least`. */
uint64_t pr_bucket_take(struct pr_bucket *bucket, uint64_t rate, uint64_t now, uint64_t wanted, uint64_t least);
/* So many more were taken, whether they were there or not. */
void pr_bucket_owe(struct pr_bucket *bucket, uint64_t rate, uint64_t now, uint64_t bytes);
/* So many that were taken are not needed. */
void pr_bucket_give(struct pr_bucket *bucket, uint64_t rate, uint64_t bytes);

#endif
