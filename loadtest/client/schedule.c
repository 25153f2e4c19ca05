#define _GNU_SOURCE
#include "schedule.h"

#include "clock.h"

static uint64_t planned_requests(const struct options *options) {
    uint64_t planned = options->count > 0 ? options->count : UINT64_MAX;
    if (options->rate == 0 || options->seconds == 0) return planned;
    uint64_t scheduled = (uint64_t)(options->rate * options->seconds);
    return scheduled < planned ? scheduled : planned;
}

struct schedule schedule_start(const struct options *options, uint64_t began) {
    return (struct schedule){
        .options = options,
        .random = options->seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
        .began = began,
        .planned = planned_requests(options),
    };
}

/* xorshift64*: ranges cost no system call, and a seed repeats them. */
static uint64_t next_random(struct schedule *schedule) {
    schedule->random ^= schedule->random >> 12;
    schedule->random ^= schedule->random << 25;
    schedule->random ^= schedule->random >> 27;
    return schedule->random * UINT64_C(2685821657736338717);
}

uint64_t schedule_offset(struct schedule *schedule) {
    const struct options *options = schedule->options;
    uint64_t places = (options->region - options->size) / options->align + 1;
    return next_random(schedule) % places * options->align;
}

bool schedule_by_rate(const struct schedule *schedule) {
    return schedule->options->rate > 0;
}

uint64_t schedule_due(const struct schedule *schedule) {
    return schedule->began + (uint64_t)((double)schedule->issued / schedule->options->rate * (double)SECOND);
}

static uint64_t end_of_issuing(const struct schedule *schedule) {
    if (schedule_by_rate(schedule) || schedule->options->seconds == 0) return UINT64_MAX;
    return schedule->began + (uint64_t)(schedule->options->seconds * (double)SECOND);
}

bool schedule_has_more(const struct schedule *schedule, uint64_t at) {
    return schedule->issued < schedule->planned && at < end_of_issuing(schedule);
}

/* A schedule that can't be kept is run to its end, but not for more than twice its time. */
uint64_t schedule_hard_end(const struct schedule *schedule) {
    if (schedule->options->seconds == 0) return UINT64_MAX;
    return schedule->began + (uint64_t)(2 * schedule->options->seconds * (double)SECOND) + PATIENCE;
}

uint64_t schedule_missed(const struct schedule *schedule) {
    return schedule_by_rate(schedule) ? schedule->planned - schedule->issued : 0;
}
