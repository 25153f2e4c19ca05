/*
 * Every call of the table fails once, at every place where it is made: that one call or transmission fails with the
 * call's own error, nothing leaks, and the next request works.
 */
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMALL = 20000, LARGE = 6 << 20, MOST_PLACES = 40, QUIET_PLACES = 4 };

static int file = -1;

/* The request's way, with whatever errors come; all that it took is given back. */

/* Reads until the transmission has ended and all that was sent is here. */
static int carry(struct pr_relay *relay, int peer, uint64_t already, uint64_t length) {
    unsigned char block[65536], expected[65536];
    uint64_t got = 0;
    struct pr_event event = {.kind = PR_EVENT_ACCEPTED};
    bool ended = already == length;
    while (!ended || got < length) {
        ssize_t part = recv(peer, block, sizeof block, MSG_DONTWAIT);
        if (part > 0) {
            content(got, (size_t)part, 0, expected);
            CHECK(memcmp(block, expected, (size_t)part) == 0);
            got += (uint64_t)part;
        } else if (ended && event.kind == PR_EVENT_BROKEN) {
            break;
        } else {
            test_pause();
        }
        if (!ended) ended = pr_events(relay, &event, 1) == 1;
    }
    return event.kind == PR_EVENT_BROKEN ? -event.error : 0;
}

static int send_it(struct pr_relay *relay, uint64_t generation, const struct pair *pair, uint64_t connection,
                   enum pr_engine engine, uint64_t length) {
    struct pr_segment extent = EXTENT(0, length);
    uint64_t transmission;
    int result = pr_hold(relay, generation, 0, 0, engine, 0, &extent, 1, &transmission);
    if (result < 0) return result;
    result = pr_send(relay, connection, transmission, NULL, 0, NULL);
    if (result < 0) pr_release(relay, transmission, PR_OUTCOME_FAILED); /* finds nothing where it was broken off */
    return result < 0 ? result : carry(relay, pair->peer, result == 1 ? length : 0, length);
}

static int request(struct pr_relay *relay, enum pr_engine engine, uint64_t length) {
    char path[64], head[8] = "";
    uint64_t generation, connection;
    struct pr_generation_info info;
    enum pr_peer_kind kind;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int result = pr_generation_open(relay, 0, path, UINT64_MAX, &generation, &info);
    if (result < 0) return result;
    struct pair pair = pair_open(ROOMY);
    CHECK_EQUAL(MUST(send(pair.peer, "GET", 3, 0)), 3);
    result = pr_connection_adopt(relay, pair.ours, false, -1, &connection, &kind);
    bool adopted = result == 0;
    if (adopted) result = send_it(relay, generation, &pair, connection, engine, length);
    if (!adopted) { /* it is Node's alone, with all that it has received */
        CHECK_EQUAL(MUST(recv(pair.ours, head, sizeof head, 0)), 3);
        CHECK(strcmp(head, "GET") == 0);
    }
    if (adopted) node_close(relay, connection, &pair);
    pair_close(&pair);
    CHECK_EQUAL(pr_generation_close(relay, generation), 0);
    return result;
}

static void check_idle(struct pr_relay *relay) {
    wait_until(references(relay) == 0 && counted(relay).connections == 0, 5000);
    CHECK_EQUAL(counted(relay).held_bytes, 0);
    CHECK_EQUAL(counted(relay).broken_off, 0);
    CHECK(no_event(relay));
}

static int expected_error(enum pr_call call, int error) {
    return call == PR_CALL_DIAG ? -EXDEV : -error;
}

/* One relay for all places: what one fault leaves behind would meet the next. Returns how many places failed. */
static unsigned fail_everywhere(enum pr_call call, int error, enum pr_engine engine, uint64_t length) {
    struct pr_relay *relay = relay_start(options_with(2));
    unsigned failed = 0, quiet = 0;
    CHECK_EQUAL(request(relay, engine, length), 0);
    check_idle(relay); /* a look of its lane would meet the first fault */
    for (unsigned place = 0; place < MOST_PLACES && quiet < QUIET_PLACES; place++) {
        pr_fault_set(call, error, place, 1);
        int result = request(relay, engine, length);
        pr_fault_set(call, 0, 0, 0);
        if (result != 0) CHECK_EQUAL(result, expected_error(call, error));
        if (result != 0) failed++;
        quiet = result != 0 ? 0 : quiet + 1;
        check_idle(relay);
        CHECK_EQUAL(request(relay, engine, length), 0);
        check_idle(relay);
    }
    pr_relay_destroy(relay);
    return failed;
}

static const struct {
    enum pr_call call;
    int error;
    bool used_by[3]; /* by engine */
} faults[] = {
    {PR_CALL_ALLOCATE, ENOMEM, {true, true, true}},  {PR_CALL_OPEN, EMFILE, {true, true, true}},
    {PR_CALL_OPEN, ENFILE, {true, true, true}},      {PR_CALL_FSTAT, EIO, {true, true, true}},
    {PR_CALL_PREAD, EIO, {false, false, true}},      {PR_CALL_DUP, EMFILE, {true, true, true}},
    {PR_CALL_SEND, ENOBUFS, {false, false, true}},   {PR_CALL_SEND, EPIPE, {false, false, true}},
    {PR_CALL_SENDFILE, EIO, {true, false, false}},   {PR_CALL_SENDFILE, ENOMEM, {true, false, false}},
    {PR_CALL_SPLICE, ENOMEM, {false, true, false}},  {PR_CALL_SPLICE, EPIPE, {false, true, false}},
    {PR_CALL_SPLICE, ENOBUFS, {false, true, false}}, {PR_CALL_DIAG, ENOBUFS, {true, true, false}},
};

static void every_call_at_every_place_inline(void) {
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) EACH_ENGINE(engine) {
            unsigned failed = fail_everywhere(faults[index].call, faults[index].error, engine, SMALL);
            if ((failed > 0) != faults[index].used_by[engine])
                FAIL("call %d, %s: failed at %u places", faults[index].call, pr_engine_names[engine], failed);
        }
}

static void every_call_of_a_lane(void) {
    static const struct {
        enum pr_call call;
        int error;
        enum pr_engine engine;
        unsigned skip;
    } cases[] = {
        {PR_CALL_EPOLL_CTL, ENOMEM, PR_ENGINE_SENDFILE, 0},
        {PR_CALL_EPOLL_CTL, ENOSPC, PR_ENGINE_COPY, 0},
        {PR_CALL_SENDFILE, EIO, PR_ENGINE_SENDFILE, 3},
        {PR_CALL_SENDFILE, ECONNRESET, PR_ENGINE_SENDFILE, 4},
        {PR_CALL_SPLICE, ENOBUFS, PR_ENGINE_SPLICE, 7},
        {PR_CALL_SPLICE, ENOMEM, PR_ENGINE_SPLICE, 8},
        {PR_CALL_FSTAT, EIO, PR_ENGINE_SPLICE, 7},
        {PR_CALL_SEND, ENOBUFS, PR_ENGINE_COPY, 4},
        {PR_CALL_PREAD, EIO, PR_ENGINE_COPY, 3},
    };
    struct pr_relay *relay = relay_start(options_with(1));
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        pr_fault_set(cases[index].call, cases[index].error, cases[index].skip, 1);
        CHECK_EQUAL(request(relay, cases[index].engine, LARGE), -cases[index].error);
        pr_fault_set(cases[index].call, 0, 0, 0);
        check_idle(relay);
        CHECK_EQUAL(request(relay, cases[index].engine, LARGE), 0);
        check_idle(relay);
    }
    pr_relay_destroy(relay);
}

static void interrupted_calls_are_made_again(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    static const enum pr_call calls[] = {PR_CALL_SENDFILE, PR_CALL_SPLICE, PR_CALL_PREAD, PR_CALL_SEND, PR_CALL_OPEN};
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) EACH_ENGINE(engine) {
            pr_fault_set(calls[index], EINTR, 1, 3);
            CHECK_EQUAL(request(relay, engine, LARGE), 0);
            pr_fault_set(calls[index], 0, 0, 0);
        }
    check_idle(relay);
    pr_relay_destroy(relay);
}

static void a_pipe_that_cannot_be_had_fails_its_hold(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SMALL);
    struct pr_segment extent = EXTENT(0, SMALL);
    uint64_t id;
    pr_fault_set(PR_CALL_PIPE, EMFILE, 0, 1);
    CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_SPLICE, 0, &extent, 1, &id), -EMFILE);
    for (unsigned place = 0; place < 2; place++) {
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, place, 1);
        CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_SPLICE, 0, &extent, 1, &id), -ENOMEM);
    }
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    CHECK_EQUAL(counted(relay).references, 0);
    id = hold(relay, &region, PR_ENGINE_SPLICE, 0, SMALL);
    CHECK_EQUAL(pr_release(relay, id, PR_OUTCOME_CANCELLED), 0);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Holds, each at first with a failing allocation after the transmission's own. Returns how many were refused. */
static unsigned refused_holds(struct pr_relay *relay, uint64_t *ids, unsigned count) {
    struct region region = region_create(relay, SMALL);
    struct pr_segment extent = EXTENT(0, SMALL);
    unsigned refused = 0;
    for (unsigned index = 0; index < count; index++) {
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 1, 1);
        int result = pr_hold(relay, region.generation, 0, 0, PR_ENGINE_COPY, 0, &extent, 1, &ids[index]);
        pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
        CHECK_EQUAL(counted(relay).references, index + (result == 0));
        if (result == 0) continue;
        CHECK_EQUAL(result, -ENOMEM);
        refused++;
        ids[index] = hold(relay, &region, PR_ENGINE_COPY, 0, SMALL);
    }
    for (unsigned index = 0; index < count; index++)
        CHECK_EQUAL(pr_release(relay, ids[index], PR_OUTCOME_CANCELLED), 0);
    region_close(relay, &region);
    return refused;
}

static void a_table_that_cannot_grow_fails_one_hold(void) {
    enum { MANY = 200 };
    uint64_t ids[MANY];
    struct pr_relay *relay = relay_start(options_with(1));
    pr_lock(relay);
    CHECK_EQUAL(pr_events_reserve(relay, 2 * MANY), 0); /* so that only the table of ids has to grow */
    pr_unlock(relay);
    CHECK_EQUAL(refused_holds(relay, ids, MANY), 3); /* for the first, and at 64 and at 128 */
    pr_relay_destroy(relay);
}

static void a_ring_that_cannot_grow_fails_one_hold(void) {
    enum { FEW = 60 }; /* the table of ids begins with more */
    uint64_t ids[FEW];
    struct pr_relay *relay = relay_start(options_with(1));
    CHECK_EQUAL(refused_holds(relay, ids, FEW), 1); /* the first: then there is room for all */
    pr_relay_destroy(relay);
}

static void a_claim_without_memory_is_refused_alone(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SMALL);
    struct pr_segment extent = EXTENT(0, SMALL);
    uint64_t lease, place;
    for (unsigned count = 0; count < 2; count++) { /* itself, the ring of events */
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, count, 1);
        CHECK_EQUAL(pr_lease(relay, region.generation, 0, 1, PR_NEEDS_DONE, true, &lease), -ENOMEM);
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, count, 1);
        CHECK_EQUAL(pr_place(relay, region.generation, &extent, 1, &place), -ENOMEM);
    }
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    CHECK_EQUAL(counted(relay).claims, 0);
    CHECK_EQUAL(pr_lease(relay, region.generation, 0, 1, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_place(relay, region.generation, &extent, 1, &place), 0);
    CHECK_EQUAL(pr_lease_end(relay, lease, false, NULL), 0);
    CHECK_EQUAL(next_event(relay).id, place);
    /* A granted place ends with the hold that fails. */
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_COPY, place, &extent, 1, &lease), -ENOMEM);
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    CHECK_EQUAL(pr_place_end(relay, place), -EBADF);
    CHECK_EQUAL(counted(relay).claims, 0);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* The socket is Node's alone again, with all that it has received. */
static void a_connection_that_is_not_adopted_loses_nothing(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct pair pair = pair_open(ROOMY);
    uint64_t connection;
    enum pr_peer_kind kind;
    char head[8] = "";
    CHECK_EQUAL(MUST(send(pair.peer, "GET", 3, 0)), 3);
    for (unsigned place = 0; place < 3; place++) { /* itself, the ring of events, the table of ids */
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, place == 2 ? 1 : place, 1); /* the ring is there by then */
        CHECK_EQUAL(pr_connection_adopt(relay, pair.ours, false, -1, &connection, &kind), -ENOMEM);
        CHECK_EQUAL(counted(relay).connections, 0);
    }
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    CHECK_EQUAL(recv(pair.ours, head, sizeof head, MSG_DONTWAIT), 3);
    connection = adopt(relay, &pair);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    pr_relay_destroy(relay);
}

static void a_relay_or_a_tree_that_cannot_be_made(void) {
    static const struct {
        enum pr_call call;
        int error;
    } causes[] = {{PR_CALL_ALLOCATE, ENOMEM}, {PR_CALL_EPOLL_CTL, ENOMEM}};
    struct pr_options options = options_with(3);
    struct pr_relay *relay;
    uint64_t tree;
    for (size_t index = 0; index < 2; index++) {
        unsigned place = 0;
        for (int result = -1; result != 0; place++) {
            pr_fault_set(causes[index].call, causes[index].error, place, 1);
            result = pr_relay_create(&options, &relay);
            if (result != 0) CHECK_EQUAL(result, -causes[index].error);
        }
        CHECK(place > 2);
        pr_fault_set(causes[index].call, 0, 0, 0);
        pr_relay_destroy(relay);
    }
    relay = relay_start(options);
    pr_fault_set(PR_CALL_OPEN, EACCES, 0, 1);
    CHECK_EQUAL(pr_tree_open(relay, "/tmp", &tree), -EACCES);
    for (unsigned place = 0; place < 2; place++) {
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, place, 1);
        CHECK_EQUAL(pr_tree_open(relay, "/tmp", &tree), -ENOMEM);
    }
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    CHECK_EQUAL(pr_tree_open(relay, "/tmp", &tree), 0);
    CHECK_EQUAL(pr_tree_close(relay, tree), 0);
    CHECK_EQUAL(pr_tree_close(relay, tree), -EBADF);
    pr_relay_destroy(relay);
}

static void calls_are_known_by_name(void) {
    CHECK_EQUAL(pr_call_by_name("sendfile"), PR_CALL_SENDFILE);
    CHECK_EQUAL(pr_call_by_name("epoll_ctl"), PR_CALL_EPOLL_CTL);
    CHECK_EQUAL(pr_call_by_name("fork"), -1);
}

int main(void) {
    unsigned char body[65536];
    pr_faults_enable();
    file = (int)MUST(memfd_create("region", MFD_CLOEXEC));
    for (uint64_t offset = 0; offset < LARGE; offset += sizeof body) {
        content(offset, sizeof body, 0, body);
        CHECK_EQUAL(MUST(pwrite(file, body, sizeof body, (off_t)offset)), sizeof body);
    }
    RUN(every_call_at_every_place_inline);
    RUN(every_call_of_a_lane);
    RUN(interrupted_calls_are_made_again);
    RUN(a_pipe_that_cannot_be_had_fails_its_hold);
    RUN(a_table_that_cannot_grow_fails_one_hold);
    RUN(a_ring_that_cannot_grow_fails_one_hold);
    RUN(a_claim_without_memory_is_refused_alone);
    RUN(a_connection_that_is_not_adopted_loses_nothing);
    RUN(a_relay_or_a_tree_that_cannot_be_made);
    RUN(calls_are_known_by_name);
    return 0;
}
