/* The ways out: however a transmission ends, each reference is dropped once, and nothing is left behind. */
#include "test.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

enum { SMALL = 32 << 10, LARGE = 24 << 20 };

struct scene {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
};

static struct scene scene_open(struct pr_options options, int receive_buffer) {
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, LARGE);
    scene.pair = pair_open(receive_buffer);
    scene.connection = adopt(scene.relay, &scene.pair);
    return scene;
}

static void check_nothing_held(struct pr_relay *relay) {
    wait_until(references(relay) == 0, 5000);
    struct pr_counters counters = counted(relay);
    CHECK_EQUAL(counters.references, 0);
    CHECK_EQUAL(counters.held_bytes, 0);
    CHECK_EQUAL(counters.quarantined, 0);
    CHECK_EQUAL(counters.quarantined_bytes, 0);
    uint64_t holds = 0, ends = 0;
    for (int bucket = 0; bucket < PR_HOLD_BUCKETS; bucket++) holds += counters.holds.by_time[bucket];
    for (int engine = 0; engine < PR_ENGINE_COUNT; engine++)
        for (int outcome = 0; outcome < PR_OUTCOME_COUNT; outcome++) ends += counters.transmissions[engine][outcome];
    CHECK_EQUAL(holds, ends);
}

static void check_outcome(struct scene *scene, enum pr_engine engine, enum pr_outcome outcome) {
    CHECK_EQUAL(counted(scene->relay).transmissions[engine][outcome], 1);
}

static void scene_close(struct scene *scene) {
    if (scene->pair.ours >= 0) node_close(scene->relay, scene->connection, &scene->pair);
    close_peer(&scene->pair);
    check_nothing_held(scene->relay);
    wait_until(counted(scene->relay).connections == 0, 5000);
    CHECK_EQUAL(counted(scene->relay).broken_off, 0);
    CHECK(no_event(scene->relay));
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static struct pr_event expect_broken(struct scene *scene, uint64_t transmission, enum pr_outcome outcome) {
    struct pr_event event = next_event(scene->relay);
    CHECK_EQUAL(event.kind, PR_EVENT_BROKEN);
    CHECK_EQUAL(event.id, transmission);
    CHECK_EQUAL(event.outcome, outcome);
    return event;
}

static bool is_reset(int error) {
    return error == ECONNRESET || error == EPIPE;
}

/* A hook before the engine's calls: what happens then, happens in the middle of a body. */

static struct pr_sys real;
static unsigned calls, hook_at;
static void (*hook)(void);
static struct scene *hooked;

static void count_call(void) {
    if (hook && ++calls == hook_at) hook();
}

static ssize_t hooked_sendfile(int out, int in, off_t *offset, size_t length) {
    count_call();
    return real.sendfile(out, in, offset, length);
}

static ssize_t hooked_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags) {
    count_call();
    return real.splice(in, in_offset, out, out_offset, length, flags);
}

static ssize_t hooked_send(int fd, const void *buffer, size_t length, int flags) {
    count_call();
    return real.send(fd, buffer, length, flags);
}

static void install_hooks(void) {
    real = pr_sys;
    pr_sys.sendfile = hooked_sendfile;
    pr_sys.splice = hooked_splice;
    pr_sys.send = hooked_send;
}

static void hook_on_call(struct scene *scene, unsigned number, void (*action)(void)) {
    hooked = scene;
    calls = 0;
    hook_at = number;
    hook = action;
}

/* The client goes away. */

static void reset_and_wait(void) {
    reset_peer(&hooked->pair);
    wait_until(tcp_state(hooked->pair.ours) == TCP_CLOSE, 5000);
}

static void a_client_that_resets_before_any_byte(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options_with(1), ROOMY);
        hooked = &scene;
        reset_and_wait();
        CHECK(is_reset(-serve(scene.relay, scene.connection, &scene.region, engine, 0, SMALL, NULL)));
        check_outcome(&scene, engine, PR_OUTCOME_ABORTED);
        check_nothing_held(scene.relay);
        scene_close(&scene);
    }
}

static void a_client_that_resets_in_mid_body_inline(void) {
    struct pr_segment extents[] = {EXTENT(0, 5000), EXTENT(8192, 5000)};
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options_with(1), ROOMY);
        uint64_t transmission;
        CHECK_EQUAL(pr_hold(scene.relay, scene.region.generation, 0, 0, engine, 0, extents, 2, &transmission), 0);
        hook_on_call(&scene, 2, reset_and_wait);
        CHECK(is_reset(-pr_send(scene.relay, scene.connection, transmission, NULL, 0, NULL)));
        hook = NULL;
        check_outcome(&scene, engine, PR_OUTCOME_ABORTED);
        check_nothing_held(scene.relay);
        CHECK_EQUAL(pr_release(scene.relay, transmission, PR_OUTCOME_FAILED), -EBADF);
        scene_close(&scene);
    }
}

static void a_client_that_resets_in_a_lane(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options_with(1), NARROW);
        uint64_t transmission;
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, 0, LARGE, &transmission), 0);
        read_body(scene.pair.peer, 0, 1 << 20, 0);
        reset_peer(&scene.pair);
        CHECK(is_reset(expect_broken(&scene, transmission, PR_OUTCOME_ABORTED).error));
        check_nothing_held(scene.relay);
        scene_close(&scene);
    }
}

static void a_client_that_closes_in_a_lane(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options_with(1), NARROW);
        uint64_t transmission;
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, 0, LARGE, &transmission), 0);
        close_peer(&scene.pair);
        expect_broken(&scene, transmission, PR_OUTCOME_ABORTED);
        check_nothing_held(scene.relay);
        scene_close(&scene);
    }
}

static void a_client_that_resets_after_all_was_accepted(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options_with(1), ROOMY);
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, 0, SMALL, NULL), 1);
        reset_peer(&scene.pair);
        check_outcome(&scene, engine, PR_OUTCOME_COMPLETE);
        check_nothing_held(scene.relay);
        scene_close(&scene);
    }
}

/* Node still has to learn of the reset by itself: looking may not take the socket's error away. */
static void looking_leaves_the_error_to_node(void) {
    char byte;
    struct scene scene = scene_open(options_with(1), ROOMY);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, SMALL, NULL), 1);
    reset_peer(&scene.pair);
    check_nothing_held(scene.relay);
    CHECK(recv(scene.pair.ours, &byte, 1, 0) < 0 && errno == ECONNRESET);
    scene_close(&scene);
}

/* This side gives up. */

static void node_that_closes_while_a_lane_sends(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options_with(1), NARROW);
        uint64_t transmission;
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, 0, LARGE, &transmission), 0);
        node_close(scene.relay, scene.connection, &scene.pair);
        expect_broken(&scene, transmission, PR_OUTCOME_CANCELLED);
        if (engine != PR_ENGINE_COPY) CHECK_EQUAL(only_reference(scene.relay).state, PR_REFERENCE_SENT);
        uint64_t sent = counted(scene.relay).sent_bytes[engine];
        CHECK(sent < LARGE);
        bool reset;
        CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 0, &reset), sent);
        CHECK(!reset);
        scene_close(&scene);
    }
}

static void closing_wakes_the_lane(void) {
    enum { ROUNDS = 8 };
    uint64_t took = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct scene scene = scene_open(options_with(1), NARROW);
        uint64_t transmission;
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_COPY, 0, LARGE, &transmission), 0);
        stays(no_event(scene.relay), 5);
        uint64_t start = pr_now();
        node_close(scene.relay, scene.connection, &scene.pair);
        expect_broken(&scene, transmission, PR_OUTCOME_CANCELLED);
        took += pr_now() - start;
        scene_close(&scene);
    }
    CHECK(took < ROUNDS * (uint64_t)100000000);
}

static bool reference_outlives_node;
static void close_connection(void) {
    node_close(hooked->relay, hooked->connection, &hooked->pair);
    reference_outlives_node = true;
}

/* Between the lane's check and its last send: it is nobody's but the lane's then, and the deadline still holds. */
static void node_that_closes_during_the_last_send(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.2;
    struct pr_segment extents[] = {EXTENT(0, 64 << 10), EXTENT(1 << 20, 1000)};
    struct scene scene = scene_open(options, ROOMY);
    uint64_t transmission;
    CHECK_EQUAL(pr_hold(scene.relay, scene.region.generation, 0, 0, PR_ENGINE_SENDFILE, 0, extents, 2, &transmission),
                0);
    hook_on_call(&scene, 2, close_connection);
    CHECK_EQUAL(pr_send(scene.relay, scene.connection, transmission, NULL, 0, NULL), 0);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    hook = NULL;
    CHECK(reference_outlives_node);
    wait_until(counted(scene.relay).broken_off == 1, 5000);
    read_body(scene.pair.peer, 0, 64 << 10, 0);
    CHECK_EQUAL(read_to_end(scene.pair.peer, 1 << 20, 0, NULL), 1000);
    scene_close(&scene);
}

static void a_reader_that_stalls_in_a_lane(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.3;
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(options, NARROW);
        uint64_t transmission;
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, 0, LARGE, &transmission), 0);
        size_t descriptors = test_descriptors();
        CHECK_EQUAL(expect_broken(&scene, transmission, PR_OUTCOME_STALLED).error, ETIMEDOUT);
        if (engine == PR_ENGINE_SPLICE) CHECK_EQUAL(test_descriptors(), descriptors - 2); /* its pipe, at once */
        CHECK_EQUAL(pr_send(scene.relay, scene.connection, 0, NULL, 0, NULL), -EBADF);
        uint64_t next = hold(scene.relay, &scene.region, engine, 0, 10);
        CHECK_EQUAL(pr_send(scene.relay, scene.connection, next, NULL, 0, NULL), -ECONNRESET);
        CHECK_EQUAL(pr_release(scene.relay, next, PR_OUTCOME_CANCELLED), 0);
        bool reset;
        uint64_t sent = counted(scene.relay).sent_bytes[engine];
        CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 0, &reset), sent);
        CHECK(!reset && sent < LARGE);
        scene_close(&scene);
    }
}

static void read_slowly(enum pr_engine engine, uint64_t body, int receive_buffer) {
    enum { STEPS = 6 };
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.7;
    struct scene scene = scene_open(options, receive_buffer);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, 0, body, NULL), 0);
    for (uint64_t step = 0; step < STEPS; step++) {
        read_body(scene.pair.peer, step * (body / STEPS), body / STEPS, 0);
        stays(true, 300);
    }
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

static void a_slow_reader_that_moves_is_not_stalled(void) {
    read_slowly(PR_ENGINE_SENDFILE, 18 << 20, NARROW);
    read_slowly(PR_ENGINE_COPY, 18 << 20, NARROW);
}

static void nor_is_one_that_reads_what_was_accepted_long_ago(void) {
    read_slowly(PR_ENGINE_SENDFILE, 600 << 10, ROOMY);
}

static void a_reader_that_stalls_after_all_was_accepted(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.2;
    struct scene scene = scene_open(options, ROOMY);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, SMALL, NULL), 1);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_STALLED);
    CHECK_EQUAL(event.id, scene.connection);
    stays(no_event(scene.relay), 700); /* it is told once */
    CHECK_EQUAL(pr_connection_break(scene.relay, scene.connection), 0);
    CHECK_EQUAL(pr_connection_break(scene.relay, scene.connection), -EBUSY);
    CHECK_EQUAL(only_reference(scene.relay).state, PR_REFERENCE_SENT);
    bool reset;
    CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 0, &reset), SMALL);
    CHECK(!reset);
    scene_close(&scene);
}

/* Closing with received bytes unread would reset the connection, and cut off what is still to be sent. */
static void unread_requests_do_not_cut_the_tail(void) {
    enum { BODY = 200 << 10 };
    struct scene scene = scene_open(options_with(1), NARROW);
    CHECK_EQUAL(MUST(send(scene.pair.peer, "GET", 3, 0)), 3);
    if (serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_COPY, 0, BODY, NULL) == 0)
        CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    node_close(scene.relay, scene.connection, &scene.pair);
    wait_until(counted(scene.relay).connections == 0, 5000);
    bool reset;
    CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 0, &reset), BODY);
    CHECK(!reset);
    scene_close(&scene);
}

/* Node may keep its descriptor a little longer: epoll would go on reporting for it. */
static void a_closed_connection_leaves_the_lanes_epoll(void) {
    struct scene scene = scene_open(options_with(1), NARROW);
    int epoll = scene.relay->lanes->list[0].poller.epoll;
    CHECK_EQUAL(test_watched(epoll), 1); /* the lane's own eventfd */
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_COPY, 0, LARGE, NULL), 0);
    wait_until(test_watched(epoll) == 2, 5000);
    CHECK_EQUAL(pr_connection_close(scene.relay, scene.connection), 0);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_BROKEN);
    wait_until(counted(scene.relay).connections == 0, 5000);
    wait_until(test_watched(epoll) == 1, 5000);
    pair_close(&scene.pair);
    scene_close(&scene);
}

static void a_hold_that_is_never_sent(void) {
    struct scene scene = scene_open(options_with(1), ROOMY);
    EACH_ENGINE(engine) {
        uint64_t transmission = hold(scene.relay, &scene.region, engine, 0, LARGE);
        CHECK_EQUAL(only_reference(scene.relay).state, PR_REFERENCE_UNSENT);
        CHECK_EQUAL(pr_release(scene.relay, transmission, PR_OUTCOME_CANCELLED), 0);
        CHECK_EQUAL(pr_release(scene.relay, transmission, PR_OUTCOME_CANCELLED), -EBADF);
    }
    scene_close(&scene);
}

static void a_generation_outlives_its_closing_by_its_references(void) {
    struct scene scene = scene_open(options_with(1), ROOMY);
    size_t descriptors = test_descriptors();
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, SMALL, NULL), 1);
    uint64_t generation = scene.region.generation, transmission;
    CHECK_EQUAL(pr_generation_close(scene.relay, generation), 0);
    CHECK_EQUAL(pr_generation_close(scene.relay, generation), -EBADF);
    struct pr_segment extent = EXTENT(0, 1);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 0, 0, PR_ENGINE_COPY, 0, &extent, 1, &transmission), -ESTALE);
    CHECK_EQUAL(only_reference(scene.relay).generation, generation);
    CHECK_EQUAL(test_descriptors(), descriptors);
    read_body(scene.pair.peer, 0, SMALL, 0);
    CHECK_EQUAL(references(scene.relay), 0);
    CHECK_EQUAL(test_descriptors(), descriptors - 1);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 0, 0, PR_ENGINE_COPY, 0, &extent, 1, &transmission), -EBADF);
    int fd = scene.region.fd;
    scene.region = region_open(scene.relay, fd);
    scene_close(&scene);
}

/* Everything at once. */

static void destroyed_with_everything_in_flight(void) {
    enum { COUNT = 6 };
    struct pr_options options = options_with(2);
    options.max_broken_off = 1;
    struct pair pairs[COUNT];
    struct pr_relay *relay = relay_start(options);
    struct region region = region_create(relay, LARGE), closed = region_create(relay, SMALL);
    uint64_t connections[COUNT], tree;
    for (int index = 0; index < COUNT; index++) {
        pairs[index] = pair_open(index < 3 ? NARROW : ROOMY);
        connections[index] = adopt(relay, &pairs[index]);
    }
    CHECK_EQUAL(pr_tree_open(relay, "/tmp", &tree), 0);
    EACH_ENGINE(engine) {
        hold(relay, &region, engine, 0, LARGE);
        CHECK_EQUAL(serve(relay, connections[engine], &region, engine, 0, LARGE, NULL), 0);
    }
    hold(relay, &region, PR_ENGINE_STREAM, 0, LARGE);
    CHECK_EQUAL(serve(relay, connections[3], &closed, PR_ENGINE_SPLICE, 0, SMALL, NULL), 1);
    for (int index = 4; index < 6; index++) {
        CHECK_EQUAL(serve(relay, connections[index], &region, PR_ENGINE_SENDFILE, 0, SMALL, NULL), 1);
        CHECK_EQUAL(pr_connection_break(relay, connections[index]), 0);
    }
    CHECK_EQUAL(counted(relay).quarantined, 1);
    node_close(relay, connections[4], &pairs[4]);
    region_close(relay, &closed);
    region_close(relay, &region);
    pr_relay_destroy(relay);
    for (int index = 0; index < COUNT; index++) pair_close(&pairs[index]);
}

static void an_empty_relay_comes_and_goes(void) {
    for (unsigned lanes = 1; lanes <= 4; lanes++) pr_relay_destroy(relay_start(options_with(lanes)));
}

int main(void) {
    install_hooks();
    RUN(an_empty_relay_comes_and_goes);
    RUN(a_client_that_resets_before_any_byte);
    RUN(a_client_that_resets_in_mid_body_inline);
    RUN(a_client_that_resets_in_a_lane);
    RUN(a_client_that_closes_in_a_lane);
    RUN(a_client_that_resets_after_all_was_accepted);
    RUN(looking_leaves_the_error_to_node);
    RUN(node_that_closes_while_a_lane_sends);
    RUN(closing_wakes_the_lane);
    RUN(node_that_closes_during_the_last_send);
    RUN(a_reader_that_stalls_in_a_lane);
    RUN(a_slow_reader_that_moves_is_not_stalled);
    RUN(nor_is_one_that_reads_what_was_accepted_long_ago);
    RUN(a_reader_that_stalls_after_all_was_accepted);
    RUN(unread_requests_do_not_cut_the_tail);
    RUN(a_closed_connection_leaves_the_lanes_epoll);
    RUN(a_hold_that_is_never_sent);
    RUN(a_generation_outlives_its_closing_by_its_references);
    RUN(destroyed_with_everything_in_flight);
    return 0;
}
