/* Every engine delivers every byte, once, inline and through lanes, and leaves nothing behind. */
#include "test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { REGION = 34 << 20 };

static void expect_accepted(struct pr_relay *relay, int result, uint64_t transmission) {
    CHECK(result == 0 || result == 1);
    if (result == 1) return;
    struct pr_event event = next_event(relay);
    CHECK_EQUAL(event.kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL(event.id, transmission);
    CHECK_EQUAL(event.outcome, PR_OUTCOME_COMPLETE);
}

static const struct {
    uint64_t offset, length;
} bodies[] = {
    {0, 1},
    {4095, 2},
    {4096, 4096},
    {1, 8191},
    {0, 65536},
    {4095, 65537},
    {12345, 70001},
    {0, 262144},
    {8192, 1 << 20},
    {777, 1000003},
    {0, 4194304 + 1},
    {0, 32 << 20},
    {4097, (32 << 20) - 1},
    {REGION - 1, 1},
    {REGION - 5000, 5000},
};

static void send_all_sizes(unsigned lanes) {
    struct pr_relay *relay = relay_start(options_with(lanes));
    struct region region = region_create(relay, REGION);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), transmission;
    EACH_ENGINE(engine) {
        uint64_t before = counted(relay).sent_bytes[engine], total = 0;
        for (size_t index = 0; index < sizeof bodies / sizeof *bodies; index++) {
            uint64_t offset = bodies[index].offset, length = bodies[index].length;
            int result = serve(relay, connection, &region, engine, offset, length, &transmission);
            read_body(pair.peer, offset, length, 0);
            expect_accepted(relay, result, transmission);
            wait_until(references(relay) == 0, 5000);
            total += length;
        }
        CHECK_EQUAL(counted(relay).sent_bytes[engine] - before, total);
        CHECK_EQUAL(counted(relay).transmissions[engine][PR_OUTCOME_COMPLETE], sizeof bodies / sizeof *bodies);
    }
    CHECK(no_event(relay));
    CHECK_EQUAL(counted(relay).held_bytes, 0);
    node_close(relay, connection, &pair);
    wait_until(counted(relay).connections == 0, 5000);
    close_peer(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void one_lane_carries_every_size(void) {
    send_all_sizes(1);
}

static void three_lanes_carry_every_size(void) {
    send_all_sizes(3);
}

static void many_extents_arrive_in_their_order(void) {
    enum { COUNT = 64 };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 8 << 20);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), transmission;
    struct pr_segment extents[COUNT];
    for (unsigned index = 0; index < COUNT; index++)
        extents[index] = (struct pr_segment){.offset = (COUNT - 1 - index) * 131071u, .length = 1 + index * 1000u};
    EACH_ENGINE(engine) {
        CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, engine, 0, extents, COUNT, &transmission), 0);
        int result = pr_send(relay, connection, transmission, NULL, 0, NULL);
        for (unsigned index = 0; index < COUNT; index++)
            read_body(pair.peer, extents[index].offset, extents[index].length, 0);
        expect_accepted(relay, result, transmission);
        wait_until(references(relay) == 0, 5000);
    }
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void read_literal(int peer, const char *literal, size_t length) {
    char *got = malloc(length);
    CHECK_EQUAL(MUST(recv(peer, got, length, MSG_WAITALL)), (ssize_t)length);
    CHECK(memcmp(got, literal, length) == 0);
    free(got);
}

/* The body of a multipart response: literals and extents in turn, behind a head that is no part of the body. */
static void a_head_and_literals_arrive_in_their_places(void) {
    enum { LONG = 3 << 20 };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 8 << 20);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), transmission, sent;
    struct pr_segment segments[] = {
        {.literal = "first", .length = 5}, EXTENT(4097, 10), {.literal = "second", .length = 6}, EXTENT(8192, LONG),
        {.literal = "end", .length = 3},
    };
    EACH_ENGINE(engine) {
        uint64_t before = counted(relay).sent_bytes[engine];
        CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, engine, 0, segments, 5, &transmission), 0);
        CHECK_EQUAL(counted(relay).held_bytes, LONG + 24);
        int result = pr_send(relay, connection, transmission, "HEAD", 4, &sent);
        read_literal(pair.peer, "HEADfirst", 9);
        read_body(pair.peer, 4097, 10, 0);
        read_literal(pair.peer, "second", 6);
        read_body(pair.peer, 8192, LONG, 0);
        read_literal(pair.peer, "end", 3);
        expect_accepted(relay, result, transmission);
        CHECK_EQUAL(counted(relay).sent_bytes[engine] - before, LONG + 24);
        wait_until(references(relay) == 0, 5000);
    }
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void a_head_that_the_socket_has_no_room_for_is_kept(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 1 << 20);
    struct pair pair = pair_open(NARROW);
    char head[1000], filler[4096] = {0};
    memset(head, 'h', sizeof head);
    uint64_t filled = 0, connection = adopt(relay, &pair),
             transmission = hold(relay, &region, PR_ENGINE_SENDFILE, 0, 10);
    for (ssize_t more; (more = send(pair.ours, filler, sizeof filler, MSG_DONTWAIT)) > 0;) filled += (uint64_t)more;
    CHECK_EQUAL(pr_send(relay, connection, transmission, head, sizeof head, NULL), 0);
    memset(head, 'x', sizeof head); /* the caller's buffer is the caller's again */
    /* Not a byte more: what comes behind it may be there already. */
    for (uint64_t left = filled; left > 0;) {
        size_t most = left < sizeof filler ? (size_t)left : sizeof filler;
        left -= (uint64_t)MUST(recv(pair.peer, filler, most, 0));
    }
    memset(head, 'h', sizeof head);
    read_literal(pair.peer, head, sizeof head);
    read_body(pair.peer, 0, 10, 0);
    CHECK_EQUAL(next_event(relay).kind, PR_EVENT_ACCEPTED);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* A client that half-closes makes Node want to end the connection in mid-body. */
static void a_fin_waits_for_the_end_of_the_body(void) {
    enum { LENGTH = 8 << 20 };
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_REMOTE + 1;
    struct pr_relay *relay = relay_start(options);
    struct region region = region_create(relay, LENGTH);
    struct pair pair = pair_open(NARROW);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 0);
    CHECK_EQUAL(pr_connection_finish(relay, connection), 0);
    CHECK(no_event(relay));
    read_body(pair.peer, 0, LENGTH, 0);
    CHECK_EQUAL(next_event(relay).kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL(next_event(relay).kind, PR_EVENT_DRAINED);
    CHECK_EQUAL(pr_connection_finish(relay, connection), 1);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void two_connections_share_a_lane_without_mixing(void) {
    enum { LENGTH = 12 << 20 };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 2 * LENGTH);
    struct pair pairs[2] = {pair_open(NARROW), pair_open(NARROW)};
    uint64_t connections[2], transmissions[2];
    EACH_ENGINE(engine) {
        for (unsigned index = 0; index < 2; index++) {
            if (engine == PR_ENGINE_SENDFILE) connections[index] = adopt(relay, &pairs[index]);
            CHECK_EQUAL(
                serve(relay, connections[index], &region, engine, index * LENGTH, LENGTH, &transmissions[index]), 0);
        }
        for (unsigned part = 0; part < 12; part++)
            for (unsigned index = 0; index < 2; index++)
                read_body(pairs[index].peer, index * LENGTH + part * (LENGTH / 12), LENGTH / 12, 0);
        uint64_t ids = next_event(relay).id ^ next_event(relay).id;
        CHECK_EQUAL(ids, transmissions[0] ^ transmissions[1]);
        wait_until(references(relay) == 0, 5000);
    }
    for (unsigned index = 0; index < 2; index++) node_close(relay, connections[index], &pairs[index]);
    wait_until(counted(relay).connections == 0, 5000);
    for (unsigned index = 0; index < 2; index++) close_peer(&pairs[index]);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Left to its clock, a sleeping lane would take a quarter of a second each time. */
static void a_sleeping_lane_is_woken(void) {
    enum { ROUNDS = 10, BODY = 128 << 10 };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, BODY);
    uint64_t transmission, took = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(relay, &pair);
        stays(true, 5); /* it falls asleep again */
        uint64_t start = pr_now();
        int result = serve(relay, connection, &region, PR_ENGINE_COPY, 0, BODY, &transmission);
        CHECK_EQUAL(result, 0);
        expect_accepted(relay, result, transmission);
        took += pr_now() - start;
        read_body(pair.peer, 0, BODY, 0);
        node_close(relay, connection, &pair);
        pair_close(&pair);
    }
    CHECK(took < ROUNDS * (uint64_t)50000000);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void a_lane_that_waits_for_a_reader_uses_no_processor(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 16 << 20);
    struct pair pair = pair_open(NARROW);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, 16 << 20, NULL), 0);
    stays(no_event(relay), 50);
    uint64_t before = test_processor_time(&relay->lanes->list[0]);
    stays(no_event(relay), 500);
    CHECK(test_processor_time(&relay->lanes->list[0]) - before < 50000000);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* By whether the socket is corked. */
static atomic_uint sends[2];

static bool is_corked(int fd) {
    int corked = -1;
    socklen_t length = sizeof corked;
    MUST(getsockopt(fd, IPPROTO_TCP, TCP_CORK, &corked, &length));
    return corked != 0;
}

static ssize_t seen_sendfile(int fd, int from, off_t *offset, size_t length) {
    sends[is_corked(fd)]++;
    return pr_sys_real.sendfile(fd, from, offset, length);
}

static void a_large_body_is_corked_until_its_last_byte_and_a_small_one_is_not(void) {
    pr_sys.sendfile = seen_sendfile;
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, REGION);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), transmission;
    static const uint64_t lengths[] = {65536, 4 << 20, 100};
    for (size_t index = 0; index < 3; index++) {
        bool large = lengths[index] > 65536;
        sends[0] = sends[1] = 0;
        int result = serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, lengths[index], &transmission);
        read_body(pair.peer, 0, lengths[index], 0);
        expect_accepted(relay, result, transmission);
        CHECK(sends[large] > 0);
        CHECK_EQUAL(sends[!large], 0);
        CHECK(!is_corked(pair.ours));
    }
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
    pr_sys.sendfile = pr_sys_real.sendfile;
}

static void a_connection_carries_one_at_a_time(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 16 << 20);
    struct pair pair = pair_open(NARROW);
    uint64_t connection = adopt(relay, &pair), second = hold(relay, &region, PR_ENGINE_SENDFILE, 0, 10);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, 16 << 20, NULL), 0);
    CHECK_EQUAL(pr_send(relay, connection, second, NULL, 0, NULL), -EBUSY);
    CHECK_EQUAL(pr_send(relay, connection + 1, second, NULL, 0, NULL), -EBADF);
    read_body(pair.peer, 0, 16 << 20, 0);
    CHECK_EQUAL(next_event(relay).kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL(pr_send(relay, connection, second, NULL, 0, NULL), 1);
    CHECK_EQUAL(pr_release(relay, second, PR_OUTCOME_CANCELLED), -EBADF);
    read_body(pair.peer, 0, 10, 0);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(one_lane_carries_every_size);
    RUN(three_lanes_carry_every_size);
    RUN(many_extents_arrive_in_their_order);
    RUN(a_head_and_literals_arrive_in_their_places);
    RUN(a_head_that_the_socket_has_no_room_for_is_kept);
    RUN(a_fin_waits_for_the_end_of_the_body);
    RUN(two_connections_share_a_lane_without_mixing);
    RUN(a_sleeping_lane_is_woken);
    RUN(a_lane_that_waits_for_a_reader_uses_no_processor);
    RUN(a_large_body_is_corked_until_its_last_byte_and_a_small_one_is_not);
    RUN(a_connection_carries_one_at_a_time);
    return 0;
}
