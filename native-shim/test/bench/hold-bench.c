/* What it costs to take and to drop a reference, with few and with many of them in flight. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "pages/generation.h"
#include "relay.h"
#include "wire/hold.h"

enum { ROUNDS = 15, PAIRS = 100000, MOST = 10000 };
#define SIZE 400000000000u

static struct pr_relay *relay;
static uint64_t generation, ids[MOST + 1];

static void must(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "%s: %d\n", what, result);
    exit(1);
}

static void open_region(void) {
    char path[64];
    struct pr_generation_info info;
    int fd = memfd_create("region", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)SIZE) < 0) must(-1, "memfd");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(pr_generation_open(relay, 0, path, UINT64_MAX, &generation, &info), "pr_generation_open");
    close(fd);
}

static void take(unsigned index, enum pr_engine engine) {
    struct pr_segment extent = {.offset = (uint64_t)index * 4096 * 7, .length = 65536};
    must(pr_hold(relay, generation, 0, 0, engine, 0, &extent, 1, &ids[index]), "pr_hold");
}

static int compare(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return first < second ? -1 : first > second;
}

/* One more is taken and the oldest dropped, over and over: nanoseconds for the two together. */
static double median_of_rounds(unsigned in_flight, enum pr_engine engine) {
    double figures[ROUNDS];
    for (unsigned index = 0; index < in_flight; index++) take(index, engine);
    unsigned next = in_flight, oldest = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = pr_now();
        for (int pair = 0; pair < PAIRS; pair++) {
            take(next, engine);
            must(pr_release(relay, ids[oldest], PR_OUTCOME_COMPLETE), "pr_release");
            next = next == in_flight ? 0 : next + 1;
            oldest = oldest == in_flight ? 0 : oldest + 1;
        }
        figures[round] = (double)(pr_now() - start) / PAIRS;
    }
    for (unsigned index = 0; index < in_flight; index++) {
        must(pr_release(relay, ids[oldest], PR_OUTCOME_COMPLETE), "pr_release");
        oldest = oldest == in_flight ? 0 : oldest + 1;
    }
    qsort(figures, ROUNDS, sizeof *figures, compare);
    return figures[ROUNDS / 2];
}

int main(void) {
    static const unsigned counts[] = {1, 1000, MOST};
    struct pr_options options = {.lanes = 1, .max_hold_seconds = 60, .max_broken_off = 64, .peer_override = -1};
    must(pr_relay_create(&options, &relay), "pr_relay_create");
    open_region();
    printf("Taking and dropping one reference on a region of 400 GB; median of %d rounds of %d.\n\n", ROUNDS, PAIRS);
    printf("| references in flight | sendfile | splice (with a pipe) |\n|---:|---:|---:|\n");
    for (int index = 0; index < 3; index++) {
        double sendfile = median_of_rounds(counts[index], PR_ENGINE_SENDFILE);
        if (counts[index] < MOST)
            printf("| %u | %.0f ns | %.0f ns |\n", counts[index], sendfile,
                   median_of_rounds(counts[index], PR_ENGINE_SPLICE));
        else /* two descriptors each: more than a process may usually have */
            printf("| %u | %.0f ns | - |\n", counts[index], sendfile);
    }
    pr_relay_destroy(relay);
    return 0;
}
