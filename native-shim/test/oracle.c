/*
 * An outside oracle: F_SEAL_WRITE on a memfd is refused (EBUSY) while any page has a reference beyond its mapping's.
 * What the table calls held, the kernel must refuse to seal; what it calls done, and was nudged, it must seal.
 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { LENGTH = 16 << 10, ROUNDS = 10 };

static void pin_to(unsigned cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
}

struct reader {
    pthread_t thread;
    int peer;
    unsigned cpu, revision;
};

static void *read_on_other_cpu(void *argument) {
    struct reader *reader = argument;
    pin_to(reader->cpu);
    read_body(reader->peer, 0, LENGTH, reader->revision);
    return NULL;
}

static bool sealed(const struct region *region) {
    if (fcntl(region->fd, F_ADD_SEALS, F_SEAL_WRITE) == 0) return true;
    CHECK_EQUAL(errno, EBUSY);
    return false;
}

static void one_round(enum pr_engine engine, unsigned read_cpu) {
    cpu_set_t all;
    MUST(sched_getaffinity(0, sizeof all, &all));
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, LENGTH);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    pin_to(0);
    CHECK_EQUAL(serve(relay, connection, &region, engine, 0, LENGTH, NULL), 1);
    wait_acknowledged(pair.ours);
    CHECK_EQUAL(references(relay), 1);
    CHECK(!sealed(&region));

    struct reader reader = {.peer = pair.peer, .cpu = read_cpu};
    MUST(-pthread_create(&reader.thread, NULL, read_on_other_cpu, &reader));
    wait_until(references(relay) == 0, 5000);
    region_write(&region, 0, LENGTH, 1); /* done: nobody sees this, though the kernel may still have the pages */
    MUST(-pthread_join(reader.thread, NULL));
    MUST(sched_setaffinity(0, sizeof all, &all));
    CHECK(pr_nudge() >= 1);
    wait_until(sealed(&region), 2000);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static unsigned other_cpu(void) {
    return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
}

static void the_kernel_lets_go_of_what_sendfile_sent(void) {
    for (int round = 0; round < ROUNDS; round++) one_round(PR_ENGINE_SENDFILE, other_cpu());
}

static void the_kernel_lets_go_of_what_splice_sent(void) {
    for (int round = 0; round < ROUNDS; round++) one_round(PR_ENGINE_SPLICE, other_cpu());
}

static void and_of_what_the_same_cpu_read(void) {
    one_round(PR_ENGINE_SENDFILE, 0);
}

/* A pipe keeps pages, too: an idle one of the pool must be empty. */
static void pooled_pipes_keep_no_pages(void) {
    enum { LARGE = 8 << 20 };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, LARGE);
    struct pair pair = pair_open(NARROW);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SPLICE, 0, LARGE, NULL), 0);
    read_body(pair.peer, 0, 1 << 20, 0);
    reset_peer(&pair);
    CHECK_EQUAL(next_event(relay).kind, PR_EVENT_BROKEN);
    wait_until(references(relay) == 0, 5000);
    CHECK(pr_nudge() >= 1);
    wait_until(sealed(&region), 2000);
    node_close(relay, connection, &pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(the_kernel_lets_go_of_what_sendfile_sent);
    RUN(the_kernel_lets_go_of_what_splice_sent);
    RUN(and_of_what_the_same_cpu_read);
    RUN(pooled_pipes_keep_no_pages);
    return 0;
}
