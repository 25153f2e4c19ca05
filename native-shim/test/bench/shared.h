/* What threads have done to cache lines that several of them change. */
#ifndef PR_BENCH_SHARED_H
#define PR_BENCH_SHARED_H

#include <stdbool.h>
#include <stdint.h>

struct shared_changes {
    uint64_t changes;     /* atomic read-modify-writes */
    uint64_t nanoseconds; /* that mutexes which several threads take were waited for and had */
};

void shared_begin(void);
struct shared_changes shared_end(void);

#endif
