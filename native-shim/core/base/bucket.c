#include "base/bucket.h"

static uint64_t time_for(uint64_t bytes, uint64_t rate) {
    return (uint64_t)((double)bytes * 1e9 / (double)rate);
}

/* A bucket holds no more than what PR_BURST brings, and no less than two bytes. */
static uint64_t paid_at_most(uint64_t paid_at, uint64_t rate, uint64_t now) {
    uint64_t two_bytes = time_for(2, rate), burst = two_bytes > PR_BURST ? two_bytes : PR_BURST;
    uint64_t full = now > burst ? now - burst : 0;
    return paid_at > full ? paid_at : full;
}

static uint64_t brought_since(uint64_t paid_at, uint64_t rate, uint64_t now) {
    return paid_at < now ? (uint64_t)((double)(now - paid_at) * (double)rate / 1e9) : 0;
}

uint64_t pr_bucket_there(const struct pr_bucket *bucket, uint64_t rate, uint64_t now) {
    return brought_since(paid_at_most(atomic_load_explicit(&bucket->paid_at, memory_order_relaxed), rate, now), rate,
                         now);
}

uint64_t pr_bucket_take(struct pr_bucket *bucket, uint64_t rate, uint64_t now, uint64_t wanted, uint64_t least) {
    uint_fast64_t seen = atomic_load_explicit(&bucket->paid_at, memory_order_relaxed);
    for (;;) {
        uint64_t paid_at = paid_at_most(seen, rate, now);
        uint64_t there = brought_since(paid_at, rate, now), taken = there < wanted ? there : wanted;
        if (taken == 0 || taken < least) return 0;
        if (atomic_compare_exchange_weak(&bucket->paid_at, &seen, paid_at + time_for(taken, rate))) return taken;
    }
}

void pr_bucket_owe(struct pr_bucket *bucket, uint64_t rate, uint64_t now, uint64_t bytes) {
    uint_fast64_t seen = atomic_load_explicit(&bucket->paid_at, memory_order_relaxed);
    while (
        !atomic_compare_exchange_weak(&bucket->paid_at, &seen, paid_at_most(seen, rate, now) + time_for(bytes, rate))) {
    }
}

void pr_bucket_give(struct pr_bucket *bucket, uint64_t rate, uint64_t bytes) {
    uint64_t time = time_for(bytes, rate);
    uint_fast64_t seen = atomic_load_explicit(&bucket->paid_at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&bucket->paid_at, &seen, seen > time ? seen - time : 0)) {
    }
}
