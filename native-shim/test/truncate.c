/* The file behind a region becomes shorter while it is sent: the body ends short, with right bytes and no others. */
#include "test.h"

#include <unistd.h>

enum { SMALL = 32 << 10, LARGE = 32 << 20, INSIDE = (24 << 20) + 1234 };

static void finish(struct pr_relay *relay, struct region *region, struct pair *pair, uint64_t connection) {
    node_close(relay, connection, pair);
    close_peer(pair);
    wait_until(counted(relay).connections == 0, 5000);
    CHECK_EQUAL(references(relay), 0);
    CHECK_EQUAL(counted(relay).held_bytes, 0);
    region_close(relay, region);
    pr_relay_destroy(relay);
}

static void cut_before_sending_to(uint64_t size, uint64_t offset) {
    EACH_ENGINE(engine) {
        struct pr_relay *relay = relay_start(options_with(1));
        struct region region = region_create(relay, 2 * SMALL);
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(relay, &pair);
        uint64_t transmission = hold(relay, &region, engine, offset, SMALL);
        MUST(ftruncate(region.fd, (off_t)size));
        CHECK_EQUAL(pr_send(relay, connection, transmission, NULL, 0, NULL), -ENODATA);
        CHECK_EQUAL(counted(relay).transmissions[engine][PR_OUTCOME_TRUNCATED], 1);
        CHECK_EQUAL(read_to_end(pair.peer, offset, 0, NULL), size > offset ? size - offset : 0);
        CHECK(no_event(relay));
        finish(relay, &region, &pair, connection);
    }
}

static void to_nothing(void) {
    cut_before_sending_to(0, 0);
}

static void to_before_the_body(void) {
    cut_before_sending_to(5000, 8192);
}

static void to_a_page_boundary_inside_the_body(void) {
    cut_before_sending_to(8192, 100);
}

static void to_inside_a_page_of_the_body(void) {
    cut_before_sending_to(9001, 100);
}

static void to_inside_the_first_page_of_the_body(void) {
    cut_before_sending_to(8192 + 777, 8192 + 100);
}

/* The page is there still, with zeros where the body would be. */
static void to_before_the_body_in_its_first_page(void) {
    cut_before_sending_to(8192 + 50, 8192 + 100);
}

/* What is in the socket or the pipe already may be the pages that go; the cut is made further on. */
static void in_a_lane_to_inside_a_page_further_on(void) {
    EACH_ENGINE(engine) {
        struct pr_relay *relay = relay_start(options_with(1));
        struct region region = region_create(relay, LARGE);
        struct pair pair = pair_open(NARROW);
        uint64_t connection = adopt(relay, &pair), transmission;
        CHECK_EQUAL(serve(relay, connection, &region, engine, 0, LARGE, &transmission), 0);
        MUST(ftruncate(region.fd, INSIDE));
        CHECK_EQUAL(read_to_end(pair.peer, 0, 0, NULL), INSIDE);
        struct pr_event event = next_event(relay);
        CHECK_EQUAL(event.kind, PR_EVENT_BROKEN);
        CHECK_EQUAL(event.id, transmission);
        CHECK_EQUAL(event.outcome, PR_OUTCOME_TRUNCATED);
        CHECK_EQUAL(event.error, ENODATA);
        CHECK_EQUAL(counted(relay).sent_bytes[engine], INSIDE);
        finish(relay, &region, &pair, connection);
    }
}

static void in_a_lane_to_nothing(void) {
    EACH_ENGINE(engine) {
        struct pr_relay *relay = relay_start(options_with(1));
        struct region region = region_create(relay, LARGE);
        struct pair pair = pair_open(NARROW);
        uint64_t connection = adopt(relay, &pair);
        CHECK_EQUAL(serve(relay, connection, &region, engine, 0, LARGE, NULL), 0);
        MUST(ftruncate(region.fd, 0));
        uint64_t got = read_to_end(pair.peer, 0, 0, NULL);
        CHECK_EQUAL(next_event(relay).outcome, PR_OUTCOME_TRUNCATED);
        /* What copy had sent when it noticed the cut is not counted: some of it may be zeros. */
        CHECK(got >= counted(relay).sent_bytes[engine]);
        if (engine != PR_ENGINE_COPY) CHECK_EQUAL(got, counted(relay).sent_bytes[engine]);
        CHECK(got < LARGE);
        finish(relay, &region, &pair, connection);
    }
}

/* Around the call that takes the bytes. */

static struct pr_sys real;
static int cut_fd = -1;
static bool cut_after;

static void cut_now(void) {
    if (cut_fd < 0) return;
    MUST(ftruncate(cut_fd, 10000));
    cut_fd = -1;
}

/* Of two for each pipe, the first takes the bytes. */
static ssize_t cutting_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags) {
    if (!cut_after) cut_now();
    ssize_t taken = real.splice(in, in_offset, out, out_offset, length, flags);
    cut_now();
    return taken;
}

static ssize_t cutting_sendfile(int out, int in, off_t *offset, size_t length) {
    cut_now();
    return real.sendfile(out, in, offset, length);
}

static void cut_around(enum pr_engine engine, bool after) {
    real = pr_sys;
    pr_sys.splice = cutting_splice;
    pr_sys.sendfile = cutting_sendfile;
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 2 * SMALL);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    cut_after = after;
    cut_fd = region.fd;
    CHECK_EQUAL(serve(relay, connection, &region, engine, 0, SMALL, NULL), -ENODATA);
    CHECK_EQUAL(read_to_end(pair.peer, 0, 0, NULL), 10000);
    finish(relay, &region, &pair, connection);
    pr_sys = real;
}

static void before_its_bytes_are_taken(void) {
    cut_around(PR_ENGINE_SENDFILE, false);
    cut_around(PR_ENGINE_SPLICE, false);
}

/* The pages are in the pipe then, with zeros where the file has ended. */
static void before_its_pages_leave_the_pipe(void) {
    cut_around(PR_ENGINE_SPLICE, true);
}

static ssize_t cutting_send(int fd, const void *bytes, size_t length, int flags) {
    cut_now();
    return real.send(fd, bytes, length, flags);
}

/* Some of what was sent may be zeros by then; so it is no whole body. */
static void before_a_send_of_zerocopy(void) {
    real = pr_sys;
    pr_sys.send = cutting_send;
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 2 * SMALL);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    cut_fd = region.fd;
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_ZEROCOPY, 4096, 16384, NULL), 0);
    CHECK_EQUAL(next_event(relay).outcome, PR_OUTCOME_TRUNCATED);
    finish(relay, &region, &pair, connection);
    pr_sys = real;
}

int main(void) {
    RUN(to_nothing);
    RUN(to_before_the_body);
    RUN(to_a_page_boundary_inside_the_body);
    RUN(to_inside_a_page_of_the_body);
    RUN(to_inside_the_first_page_of_the_body);
    RUN(to_before_the_body_in_its_first_page);
    RUN(in_a_lane_to_inside_a_page_further_on);
    RUN(in_a_lane_to_nothing);
    RUN(before_its_bytes_are_taken);
    RUN(before_its_pages_leave_the_pipe);
    RUN(before_a_send_of_zerocopy);
    return 0;
}
