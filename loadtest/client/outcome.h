/* What a load came to. */
#ifndef PAGERELAY_LOADTEST_OUTCOME_H
#define PAGERELAY_LOADTEST_OUTCOME_H

#include "histogram.h"

#include <stdint.h>

struct outcome {
    struct histogram latency;
    uint64_t bytes;
    uint64_t errors;
    char first_error[128];
};

void outcome_fail(struct outcome *outcome, const char *why, int64_t detail);

/* One line of JSON; `nanoseconds` is what it took, `missed` what was due and not sent. */
void outcome_print(const struct outcome *outcome, uint64_t nanoseconds, uint64_t missed);

#endif
