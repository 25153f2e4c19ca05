/* Which range is asked for next, and when. */
#ifndef PAGERELAY_LOADTEST_SCHEDULE_H
#define PAGERELAY_LOADTEST_SCHEDULE_H

#include "options.h"

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    const struct options *options;
    uint64_t random;
    uint64_t began;
    /* Requests in all, when that is known beforehand. */
    uint64_t planned;
    uint64_t issued;
};

struct schedule schedule_start(const struct options *options, uint64_t began);

/* Where the next range begins. */
uint64_t schedule_offset(struct schedule *schedule);

bool schedule_by_rate(const struct schedule *schedule);

/* When the next request is due, by its rate. */
uint64_t schedule_due(const struct schedule *schedule);

bool schedule_has_more(const struct schedule *schedule, uint64_t at);

/* Whatever is outstanding then has failed. */
uint64_t schedule_hard_end(const struct schedule *schedule);

/* Requests that were due and were not sent. */
uint64_t schedule_missed(const struct schedule *schedule);

#endif
