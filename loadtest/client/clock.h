/* Monotonic time in nanoseconds. */
#ifndef PAGERELAY_LOADTEST_CLOCK_H
#define PAGERELAY_LOADTEST_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
/* Without a byte for so long, what is outstanding has failed. */
#define PATIENCE (10 * SECOND)

static inline uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

#endif
