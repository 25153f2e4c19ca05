/* Counts durations with an error below 1.6 %, in constant memory and time. */
#ifndef PAGERELAY_LOADTEST_HISTOGRAM_H
#define PAGERELAY_LOADTEST_HISTOGRAM_H

#include <stdint.h>

/* 64 linear steps in each power of two of nanoseconds. */
enum { HISTOGRAM_BITS = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS };

struct histogram {
    uint64_t total;
    uint64_t longest;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/* What at least `share` (0 to 1) of all durations do not exceed, in nanoseconds; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
