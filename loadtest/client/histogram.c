#include "histogram.h"

#include <stddef.h>

static size_t bucket_of(uint64_t value) {
    if (value >> HISTOGRAM_BITS == 0) return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return ((size_t)shift << HISTOGRAM_BITS) + (size_t)(value >> shift);
}

/* The largest value that falls into a bucket. */
static uint64_t top_of(size_t bucket) {
    if (bucket >> (HISTOGRAM_BITS + 1) == 0) return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_BITS) - 1;
    uint64_t step = bucket - ((size_t)shift << HISTOGRAM_BITS);
    return ((step + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds) {
    histogram->total++;
    histogram->counts[bucket_of(nanoseconds)]++;
    if (nanoseconds > histogram->longest) histogram->longest = nanoseconds;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share) {
    double wanted = share * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen == 0 || (double)seen < wanted) continue;
        uint64_t top = top_of(bucket);
        return top < histogram->longest ? top : histogram->longest;
    }
    return histogram->longest;
}
