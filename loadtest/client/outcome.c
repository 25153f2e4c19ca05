#include "outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

void outcome_fail(struct outcome *outcome, const char *why, int64_t detail) {
    if (outcome->errors++ > 0) return;
    snprintf(outcome->first_error, sizeof outcome->first_error, "%s (%" PRId64 ")", why, detail);
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double microseconds(uint64_t nanoseconds) {
    return (double)nanoseconds / 1e3;
}

void outcome_print(const struct outcome *outcome, uint64_t nanoseconds, uint64_t missed) {
    const struct histogram *latency = &outcome->latency;
    printf("{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,", latency->total, outcome->bytes,
           (double)nanoseconds / 1e9);
    printf("\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f,", microseconds(histogram_quantile(latency, 0.5)),
           microseconds(histogram_quantile(latency, 0.99)), microseconds(latency->longest));
    printf("\"clientCpuSeconds\":%.6f,\"missed\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"firstError\":", cpu_seconds(),
           missed, outcome->errors);
    printf(outcome->errors > 0 ? "\"%s\"}\n" : "null}\n", outcome->first_error);
    fflush(stdout);
}
