/* What it costs to take and to drop a reference: with few and with many of them in flight, and by several lanes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/shared.h"
#include "pages/generation.h"
#include "relay.h"
#include "wire/hold.h"

enum { ROUNDS = 15, PAIRS = 100000, MOST = 10000, MOST_LANES = 16 };
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

/* Lanes. */

struct lane {
    pthread_t thread;
    unsigned index, pairs;
    uint64_t start, end, used; /* ns; the last of a processor's time */
};

static pthread_barrier_t together;

static void take_and_drop(unsigned index) {
    struct pr_segment extent = {.offset = (uint64_t)index * 65536, .length = 65536};
    struct pr_transmission *transmission = pr_hold_new(PR_ENGINE_SENDFILE, &extent, 1);
    struct pr_part *part = &relay->parts[index + 1];
    pr_lock_part(part);
    must(pr_hold_take(part, generation, 0, 0, transmission), "pr_hold_take");
    pr_unlock_part(part);
    pr_lock_part(part);
    pr_hold_drop(transmission, pr_now());
    pr_unlock_part(part);
}

static uint64_t time_used(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void *run_lane(void *argument) {
    struct lane *lane = argument;
    pthread_barrier_wait(&together);
    lane->start = pr_now();
    lane->used = time_used();
    for (unsigned pair = 0; pair < lane->pairs; pair++) take_and_drop(lane->index);
    lane->used = time_used() - lane->used;
    lane->end = pr_now();
    return NULL;
}

struct figures {
    double rate, used; /* pairs in a second of all threads together; a processor's nanoseconds for one */
};

static struct figures measure(unsigned count) {
    static struct lane lanes[MOST_LANES];
    uint64_t start = UINT64_MAX, end = 0, pairs = 0, used = 0;
    pthread_barrier_init(&together, NULL, count);
    for (unsigned index = 0; index < count; index++) {
        lanes[index].index = index;
        lanes[index].pairs = 2 * PAIRS / (count + 1);
        must(-pthread_create(&lanes[index].thread, NULL, run_lane, &lanes[index]), "pthread_create");
    }
    for (unsigned index = 0; index < count; index++) {
        pthread_join(lanes[index].thread, NULL);
        if (lanes[index].start < start) start = lanes[index].start;
        if (lanes[index].end > end) end = lanes[index].end;
        pairs += lanes[index].pairs;
        used += lanes[index].used;
    }
    pthread_barrier_destroy(&together);
    return (struct figures){.rate = (double)pairs * 1e9 / (double)(end - start), .used = (double)used / (double)pairs};
}

static struct figures medians_of(unsigned count) {
    double rates[ROUNDS], used[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        struct figures figures = measure(count);
        rates[round] = figures.rate;
        used[round] = figures.used;
    }
    qsort(rates, ROUNDS, sizeof *rates, compare);
    qsort(used, ROUNDS, sizeof *used, compare);
    return (struct figures){.rate = rates[ROUNDS / 2], .used = used[ROUNDS / 2]};
}

static void print_lanes(void) {
    double alone = 0;
    printf("\nAs lanes do it, each with references of its own on that one region, on %ld processors.\n\n",
           sysconf(_SC_NPROCESSORS_ONLN));
    printf("| threads | a reference, of a processor's time | all together, times one thread |\n|---:|---:|---:|\n");
    for (unsigned count = 1; count <= MOST_LANES; count *= 2) {
        struct figures figures = medians_of(count);
        if (count == 1) alone = figures.rate;
        printf("| %u | %.0f ns | %.2f |\n", count, figures.used, figures.rate / alone);
    }
}

int main(void) {
    static const unsigned counts[] = {1, 1000, MOST};
    struct pr_options options = {.lanes = MOST_LANES, .max_hold_seconds = 60, .max_broken_off = 64};
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
    print_lanes();
    pr_relay_destroy(relay);
    return 0;
}
