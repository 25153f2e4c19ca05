#define _GNU_SOURCE
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

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

void outcome_add(struct outcome *outcome, uint64_t nanoseconds) {
    outcome->answers++;
    outcome->latency[bucket_of(nanoseconds)]++;
    if (nanoseconds > outcome->longest) outcome->longest = nanoseconds;
}

double outcome_cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_latency(const struct outcome *outcome) {
    const char *separator = "";
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        if (outcome->latency[bucket] == 0) continue;
        uint64_t top = top_of(bucket) < outcome->longest ? top_of(bucket) : outcome->longest;
        printf("%s[%" PRIu64 ",%" PRIu64 "]", separator, top, outcome->latency[bucket]);
        separator = ",";
    }
}

void outcome_print(const struct run *run) {
    const struct outcome *outcome = &run->outcome;
    const char *separator = "";
    printf("{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"cpuSeconds\":%.6f,", outcome->answers,
           outcome->bytes, (double)(run->ended - run->began) / 1e9, outcome_cpu_seconds() - run->cpu_before);
    printf("\"missed\":%" PRIu64 ",\"statuses\":{", run->options.rate > 0 ? run->planned - run->issued : 0);
    for (int status = 0; status < STATUSES; status++) {
        if (outcome->statuses[status] == 0) continue;
        printf("%s\"%d\":%" PRIu64, separator, status, outcome->statuses[status]);
        separator = ",";
    }
    printf("},\"nanoseconds\":[");
    print_latency(outcome);
    printf("],\"errors\":%" PRIu64 ",\"firstError\":", outcome->errors);
    printf(outcome->errors > 0 ? "\"%s\"}\n" : "null}\n", outcome->first_error);
    fflush(stdout);
}
