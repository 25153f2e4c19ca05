/* Overwriting in place: every byte against a model in memory, and pages in flight. */
#include "overwrite-scene.h"

static struct pr_sys real;

/* The bytes. */

static void check_span(uint64_t offset, uint64_t length, enum pr_means means, uint64_t first, uint64_t end) {
    struct pr_overwrite what = {.offset = offset, .length = length, .page_size = PAGE, .means = means};
    uint64_t got_first, got_end;
    what.file_size = 10 * PAGE + 100;
    pr_overwrite_span(&what, &got_first, &got_end);
    CHECK_EQUAL(got_first, first);
    CHECK_EQUAL(got_end, end);
}

static void whole_pages_are_touched_but_by_those_who_have_waited(void) {
    check_span(5, 10, PR_MEANS_WAIT, 5, 15);
    check_span(PAGE - 1, 2, PR_MEANS_WAIT, PAGE - 1, PAGE + 1);
    for (enum pr_means means = PR_MEANS_PUNCH; means <= PR_MEANS_DIRECT; means++) {
        check_span(5, 10, means, 0, PAGE);
        check_span(PAGE, PAGE, means, PAGE, 2 * PAGE);
        check_span(PAGE - 1, 2, means, 0, 2 * PAGE);
        check_span(10 * PAGE + 5, 10, means, 10 * PAGE, 10 * PAGE + 100);
        check_span(10 * PAGE + 90, 10, means, 10 * PAGE, 10 * PAGE + 100);
        check_span(0, 10 * PAGE + 100, means, 0, 10 * PAGE + 100);
    }
}

struct span {
    uint64_t offset, length;
};

/* Of whole pages but for the file's last, which may be a part of one: direct writes leave that out. */
static struct span random_span(uint64_t size, enum pr_means means) {
    if (means == PR_MEANS_DIRECT) size -= size % PAGE;
    struct span span = {.offset = test_below(&random_state, size)};
    uint64_t most[] = {10, 3 * PAGE, 2 * CHUNK, size}, left = size - span.offset;
    if (test_below(&random_state, 3) == 0) span.offset -= span.offset % PAGE;
    uint64_t limit = most[test_below(&random_state, 4)];
    span.length = 1 + test_below(&random_state, left < limit ? left : limit);
    if (test_below(&random_state, 4) == 0) span.length = left; /* to the end, in the middle of a page or not */
    return span;
}

/* A file's rest of its last page is zeros, and must stay so: it is what the file grows into. */
static void check_behind_the_end(int fd, uint64_t size) {
    uint64_t page_end = (size + PAGE - 1) / PAGE * PAGE;
    MUST(ftruncate(fd, (off_t)page_end));
    file_check_zeros(fd, size, page_end);
    MUST(ftruncate(fd, (off_t)size));
}

static void overwrite_at_random(int fd, uint64_t size, enum pr_means means) {
    enum { ROUNDS = 40 };
    static unsigned char expected[SIZE];
    bool undone;
    file_fill(fd, size, 0);
    content(0, size, 0, expected);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct span span = random_span(size, means);
        int from = file_on_tmpfs();
        file_fill(from, span.length + 10, round);
        content(0, span.length, round, expected + span.offset);
        struct pr_overwrite what = plan(fd, from, span.offset, span.length, means);
        what.bytes = test_below(&random_state, 2) == 0 ? expected + span.offset : NULL;
        CHECK_EQUAL(overwrite_one(&what, &undone), 0);
        close(from);
        file_check(fd, expected, size);
        check_no_note();
    }
    check_behind_the_end(fd, size);
    close(fd);
}

static void every_byte_is_as_it_should_be(void) {
    static const uint64_t sizes[] = {SIZE, 3 * CHUNK, PAGE - 1, 1};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        for (enum pr_means means = PR_MEANS_WAIT; means <= PR_MEANS_PUNCH; means++) {
            overwrite_at_random(file_on_tmpfs(), sizes[index], means);
            overwrite_at_random(file_on_disk(), sizes[index], means);
        }
        if (direct_is_here && sizes[index] >= PAGE) overwrite_at_random(file_on_disk(), sizes[index], PR_MEANS_DIRECT);
    }
}

static ssize_t short_pread(int fd, void *buffer, size_t length, off_t offset) {
    return real.pread(fd, buffer, length > 1 ? length / 2 : length, offset);
}

static ssize_t short_pwrite(int fd, const void *buffer, size_t length, off_t offset) {
    uint64_t unit = fcntl(fd, F_GETFL) & O_DIRECT ? 512 : 1; /* a direct write ends between two sectors */
    return real.pwrite(fd, buffer, length > unit ? length / 2 / unit * unit + (length / 2 < unit ? unit : 0) : length,
                       offset);
}

static void short_calls_are_gone_on_with(void) {
    real = pr_sys;
    pr_sys.pread = short_pread;
    pr_sys.pwrite = short_pwrite;
    overwrite_at_random(file_on_tmpfs(), 3 * PAGE + 7, PR_MEANS_WAIT);
    overwrite_at_random(file_on_tmpfs(), 3 * PAGE + 7, PR_MEANS_PUNCH);
    if (direct_is_here) overwrite_at_random(file_on_disk(), 3 * PAGE + 7, PR_MEANS_DIRECT);
    pr_sys = real;
}

/* Pages in flight. */

struct flight {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
};

/* Accepted and acknowledged, but not read: `length` bytes of a file, on disk or in memory. */
static struct flight take_off(enum pr_engine engine, int fd, uint64_t length) {
    struct flight flight = {.relay = relay_start(options_with(1)), .pair = pair_open(ROOMY)};
    region_write(&(struct region){.fd = fd}, 0, length, 0);
    flight.region = region_open(flight.relay, fd);
    flight.connection = adopt(flight.relay, &flight.pair);
    if (serve(flight.relay, flight.connection, &flight.region, engine, 0, length, NULL) == 0) next_event(flight.relay);
    wait_acknowledged(flight.pair.ours);
    return flight;
}

static void land(struct flight *flight) {
    node_close(flight->relay, flight->connection, &flight->pair);
    pair_close(&flight->pair);
    region_close(flight->relay, &flight->region);
    pr_relay_destroy(flight->relay);
}

static void overwrite_in_flight(struct flight *flight, uint64_t offset, uint64_t length, enum pr_means means) {
    int from = file_on_tmpfs();
    struct region source = {.fd = from};
    region_write(&source, 0, length, 1);
    CHECK_EQUAL(overwrite(flight->region.fd, from, offset, length, means), 0);
    close(from);
}

/* The means that leave pages in flight as they are, by each engine that sends them. */
#define EACH_FLIGHT(means, engine)                                                                                     \
    for (enum pr_means means = PR_MEANS_PUNCH; means <= (direct_is_here ? PR_MEANS_DIRECT : PR_MEANS_PUNCH); means++)  \
        for (enum pr_engine engine = PR_ENGINE_SENDFILE; engine <= PR_ENGINE_SPLICE; engine++)

static void the_peer_reads(enum pr_engine engine, int fd, enum pr_means means) {
    struct flight flight = take_off(engine, fd, LENGTH);
    overwrite_in_flight(&flight, 0, LENGTH, means);
    read_body(flight.pair.peer, 0, LENGTH, means == PR_MEANS_WAIT ? 1 : 0);
    land(&flight);
}

static void a_body_in_flight_stays_as_it_was(void) {
    EACH_FLIGHT(means, engine) the_peer_reads(engine, file_for(means), means);
}

/* So that the test above can see something. */
static void where_nobody_has_waited_it_changes(void) {
    EACH_FLIGHT(means, engine) the_peer_reads(engine, file_for(means), PR_MEANS_WAIT);
}

/* The part of a page that is carried over goes to the new page: in the old one nothing moves. */
static void parts_of_pages_leave_it_as_it_was_too(void) {
    EACH_FLIGHT(means, engine) {
        struct flight flight = take_off(engine, file_for(means), LENGTH);
        overwrite_in_flight(&flight, 100, 5, means);
        overwrite_in_flight(&flight, 3 * PAGE + 7, 2 * PAGE, means);
        overwrite_in_flight(&flight, LENGTH - 1, 1, means);
        read_body(flight.pair.peer, 0, LENGTH, 0);
        land(&flight);
    }
}

/* A punch that ends with the file would zero its last page instead of letting go of it. */
static void the_last_page_is_punched_out_though_it_is_not_full(void) {
    for (enum pr_engine engine = PR_ENGINE_SENDFILE; engine <= PR_ENGINE_SPLICE; engine++) {
        struct flight flight = take_off(engine, file_on_tmpfs(), LENGTH - 1000);
        overwrite_in_flight(&flight, LENGTH - 1010, 10, PR_MEANS_PUNCH);
        overwrite_in_flight(&flight, PAGE, LENGTH - 1000 - PAGE, PR_MEANS_PUNCH);
        read_body(flight.pair.peer, 0, LENGTH - 1000, 0);
        CHECK_EQUAL(file_size(flight.region.fd), LENGTH - 1000);
        land(&flight);
    }
}

/* One generation after the other is sent and not read, and each stays as it was. */
static void many_versions_are_in_flight_at_once(void) {
    enum { VERSIONS = 10 };
    EACH_FLIGHT(means, engine) {
        struct flight flight = take_off(engine, file_for(means), PAGE);
        int from = file_on_tmpfs();
        for (unsigned version = 1; version < VERSIONS; version++) {
            struct pr_segment extent = EXTENT(0, PAGE);
            uint64_t id;
            region_write(&(struct region){.fd = from}, 0, PAGE, version);
            CHECK_EQUAL(overwrite(flight.region.fd, from, 0, PAGE, means), 0);
            uint64_t generation = region_open(flight.relay, flight.region.fd).generation;
            CHECK_EQUAL(pr_hold(flight.relay, generation, 0, 0, engine, 0, &extent, 1, &id), 0);
            if (pr_send(flight.relay, flight.connection, id, NULL, 0, NULL) == 0) next_event(flight.relay);
            CHECK_EQUAL(pr_generation_close(flight.relay, generation), 0);
        }
        wait_acknowledged(flight.pair.ours);
        for (unsigned version = 0; version < VERSIONS; version++) read_body(flight.pair.peer, 0, PAGE, version);
        close(from);
        land(&flight);
    }
}

/* Old bytes are put back through the page cache: a page in flight that is still there has them already. */
static void putting_back_leaves_it_as_it_was_too(void) {
    enum { AROUND = 32 << 10, BOTH = CHUNK + AROUND };
    static unsigned char other[2 * AROUND];
    EACH_FLIGHT(means, engine) {
        struct flight flight = take_off(engine, file_for(means), BOTH);
        struct pr_overwrite what = plan(flight.region.fd, -1, CHUNK - AROUND, 2 * AROUND, means);
        bool undone;
        what.bytes = other;
        pr_fault_set(PR_CALL_PWRITE, EIO, 2, 1); /* the second chunk, behind the note */
        CHECK_EQUAL(overwrite_one(&what, &undone), -EIO);
        pr_fault_set(PR_CALL_PWRITE, 0, 0, 0);
        CHECK(undone);
        read_body(flight.pair.peer, 0, BOTH, 0);
        land(&flight);
    }
}

/* What is sent afterwards is new. */
static void who_asks_afterwards_gets_the_new_bytes(void) {
    EACH_FLIGHT(means, engine) {
        struct flight flight = take_off(engine, file_for(means), LENGTH);
        overwrite_in_flight(&flight, 0, LENGTH, means);
        read_body(flight.pair.peer, 0, LENGTH, 0);
        uint64_t id;
        struct pr_segment extent = EXTENT(0, LENGTH);
        uint64_t generation = region_open(flight.relay, flight.region.fd).generation; /* the first one is stale */
        CHECK_EQUAL(pr_hold(flight.relay, generation, 0, 0, engine, 0, &extent, 1, &id), 0);
        if (pr_send(flight.relay, flight.connection, id, NULL, 0, NULL) == 0) next_event(flight.relay);
        read_body(flight.pair.peer, 0, LENGTH, 1);
        CHECK_EQUAL(pr_generation_close(flight.relay, generation), 0);
        land(&flight);
    }
}

int main(void) {
    scene_begin();
    RUN(whole_pages_are_touched_but_by_those_who_have_waited);
    RUN(every_byte_is_as_it_should_be);
    RUN(short_calls_are_gone_on_with);
    RUN(a_body_in_flight_stays_as_it_was);
    RUN(where_nobody_has_waited_it_changes);
    RUN(parts_of_pages_leave_it_as_it_was_too);
    RUN(the_last_page_is_punched_out_though_it_is_not_full);
    RUN(many_versions_are_in_flight_at_once);
    RUN(putting_back_leaves_it_as_it_was_too);
    RUN(who_asks_afterwards_gets_the_new_bytes);
    scene_end();
    return 0;
}
