/* What is done to files: every byte against a model in memory, pages in flight, and each call that can fail. */
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/file.h"

enum { PAGE = 4096, CHUNK = 256 << 10, SIZE = 3 * CHUNK + 5 * PAGE + 1234, LENGTH = 64 << 10 };

static uint64_t random_state;

/* Files. */

static int on_tmpfs(void) {
    return (int)MUST(memfd_create("scratch", MFD_CLOEXEC));
}

static int on_disk(void) {
    char path[] = "/tmp/pagerelay-files-XXXXXX";
    int fd = (int)MUST(mkostemp(path, O_CLOEXEC));
    MUST(unlink(path));
    return fd;
}

static uint64_t size_of(int fd) {
    struct stat status;
    MUST(fstat(fd, &status));
    return (uint64_t)status.st_size;
}

static void fill(int fd, uint64_t size, unsigned revision) {
    struct region region = {.fd = fd};
    region_write(&region, 0, size, revision);
}

static void check_file(int fd, const unsigned char *expected, uint64_t size) {
    static unsigned char got[SIZE];
    CHECK_EQUAL(size_of(fd), size);
    CHECK_EQUAL(MUST(pread(fd, got, size, 0)), size);
    for (uint64_t index = 0; index < size; index++)
        if (got[index] != expected[index]) FAIL("byte %llu is wrong", (unsigned long long)index);
}

static void check_zeros(int fd, uint64_t from, uint64_t to) {
    unsigned char byte;
    for (uint64_t at = from; at < to; at++) {
        CHECK_EQUAL(MUST(pread(fd, &byte, 1, (off_t)at)), 1);
        if (byte != 0) FAIL("byte %llu is not zero", (unsigned long long)at);
    }
}

/* Overwriting. */

static int overwrite(int to, int from, uint64_t offset, uint64_t length, bool fresh) {
    struct pr_overwrite what = {
        .to = to,
        .from = from,
        .offset = offset,
        .length = length,
        .page_size = PAGE,
        .file_size = size_of(to),
        .fresh = fresh,
    };
    return pr_file_overwrite(&what);
}

static void check_span(uint64_t offset, uint64_t length, bool fresh, uint64_t first, uint64_t end) {
    struct pr_overwrite what = {.offset = offset, .length = length, .page_size = PAGE, .fresh = fresh};
    uint64_t got_first, got_end;
    what.file_size = 10 * PAGE + 100;
    pr_overwrite_span(&what, &got_first, &got_end);
    CHECK_EQUAL(got_first, first);
    CHECK_EQUAL(got_end, end);
}

static void fresh_pages_touch_whole_pages(void) {
    check_span(5, 10, false, 5, 15);
    check_span(5, 10, true, 0, PAGE);
    check_span(PAGE, PAGE, true, PAGE, 2 * PAGE);
    check_span(PAGE - 1, 2, true, 0, 2 * PAGE);
    check_span(PAGE - 1, 2, false, PAGE - 1, PAGE + 1);
    check_span(10 * PAGE + 5, 10, true, 10 * PAGE, 10 * PAGE + 100);
    check_span(10 * PAGE + 90, 10, true, 10 * PAGE, 10 * PAGE + 100);
    check_span(0, 10 * PAGE + 100, true, 0, 10 * PAGE + 100);
}

struct span {
    uint64_t offset, length;
};

static struct span random_span(uint64_t size) {
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
    check_zeros(fd, size, page_end);
    MUST(ftruncate(fd, (off_t)size));
}

static void overwrite_at_random(int fd, uint64_t size, bool fresh) {
    enum { ROUNDS = 40 };
    static unsigned char expected[SIZE];
    fill(fd, size, 0);
    content(0, size, 0, expected);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct span span = random_span(size);
        int from = on_tmpfs();
        fill(from, span.length + 10, round);
        content(0, span.length, round, expected + span.offset);
        CHECK_EQUAL(overwrite(fd, from, span.offset, span.length, fresh), 0);
        close(from);
        check_file(fd, expected, size);
    }
    check_behind_the_end(fd, size);
    close(fd);
}

static void every_byte_is_as_it_should_be(void) {
    static const uint64_t sizes[] = {SIZE, 3 * CHUNK, PAGE - 1, 1};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++)
        for (int fresh = 0; fresh < 2; fresh++) {
            overwrite_at_random(on_tmpfs(), sizes[index], fresh);
            overwrite_at_random(on_disk(), sizes[index], fresh);
        }
}

/* Pages in flight. */

struct flight {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
};

/* Accepted and acknowledged, but not read. */
static struct flight take_off(enum pr_engine engine, uint64_t length) {
    struct flight flight = {.relay = relay_start(options_with(1)), .pair = pair_open(ROOMY)};
    flight.region = region_create(flight.relay, length);
    flight.connection = adopt(flight.relay, &flight.pair);
    CHECK_EQUAL(serve(flight.relay, flight.connection, &flight.region, engine, 0, length, NULL), 1);
    wait_acknowledged(flight.pair.ours);
    return flight;
}

static void land(struct flight *flight) {
    node_close(flight->relay, flight->connection, &flight->pair);
    pair_close(&flight->pair);
    region_close(flight->relay, &flight->region);
    pr_relay_destroy(flight->relay);
}

static void overwrite_in_flight(struct flight *flight, uint64_t offset, uint64_t length, bool fresh) {
    int from = on_tmpfs();
    struct region source = {.fd = from};
    region_write(&source, 0, length, 1);
    CHECK_EQUAL(overwrite(flight->region.fd, from, offset, length, fresh), 0);
    close(from);
}

static void the_peer_reads(enum pr_engine engine, bool fresh) {
    struct flight flight = take_off(engine, LENGTH);
    overwrite_in_flight(&flight, 0, LENGTH, fresh);
    read_body(flight.pair.peer, 0, LENGTH, fresh ? 0 : 1);
    land(&flight);
}

static void fresh_pages_leave_a_body_in_flight_as_it_was(void) {
    the_peer_reads(PR_ENGINE_SENDFILE, true);
    the_peer_reads(PR_ENGINE_SPLICE, true);
}

/* So that the test above can see something. */
static void without_them_it_changes(void) {
    the_peer_reads(PR_ENGINE_SENDFILE, false);
    the_peer_reads(PR_ENGINE_SPLICE, false);
}

/* The part of a page that is carried over goes to the fresh page: in the old one nothing moves. */
static void parts_of_pages_leave_it_as_it_was_too(void) {
    static const enum pr_engine engines[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};
    for (int each = 0; each < 2; each++) {
        struct flight flight = take_off(engines[each], LENGTH);
        overwrite_in_flight(&flight, 100, 5, true);
        overwrite_in_flight(&flight, 3 * PAGE + 7, 2 * PAGE, true);
        overwrite_in_flight(&flight, LENGTH - 1, 1, true);
        read_body(flight.pair.peer, 0, LENGTH, 0);
        land(&flight);
    }
}

/* A punch that ends with the file would zero its last page instead of letting go of it. */
static void the_last_page_is_let_go_of_though_it_is_not_full(void) {
    static const enum pr_engine engines[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};
    for (int each = 0; each < 2; each++) {
        struct flight flight = take_off(engines[each], LENGTH - 1000);
        overwrite_in_flight(&flight, LENGTH - 1010, 10, true);
        overwrite_in_flight(&flight, PAGE, LENGTH - 1000 - PAGE, true);
        read_body(flight.pair.peer, 0, LENGTH - 1000, 0);
        CHECK_EQUAL(size_of(flight.region.fd), LENGTH - 1000);
        land(&flight);
    }
}

/* What is sent afterwards is new, also by vmsplice, which sends what the mapping shows. */
static void who_asks_afterwards_gets_the_new_bytes(void) {
    EACH_ENGINE(engine) {
        struct flight flight = take_off(engine, LENGTH);
        overwrite_in_flight(&flight, 0, LENGTH, true);
        read_body(flight.pair.peer, 0, LENGTH, 0);
        uint64_t id;
        struct pr_segment extent = EXTENT(0, LENGTH);
        uint64_t generation = region_open(flight.relay, flight.region.fd).generation; /* the first one is stale */
        CHECK_EQUAL(pr_hold(flight.relay, generation, 0, 0, engine, 0, &extent, 1, &id), 0);
        CHECK_EQUAL(pr_send(flight.relay, flight.connection, id, NULL, 0, NULL), 1);
        read_body(flight.pair.peer, 0, LENGTH, 1);
        CHECK_EQUAL(pr_generation_close(flight.relay, generation), 0);
        land(&flight);
    }
}

/* Copying. */

static void a_copy_is_exact(void) {
    enum { ROUNDS = 20 };
    static unsigned char expected[SIZE];
    int from = on_disk(), to = on_tmpfs();
    fill(from, SIZE, 1);
    fill(to, SIZE, 0);
    content(0, SIZE, 0, expected);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct span span = random_span(SIZE);
        uint64_t source = test_below(&random_state, SIZE - span.length + 1);
        content(source, span.length, 1, expected + span.offset);
        CHECK_EQUAL(pr_file_copy(from, source, to, span.offset, span.length), 0);
        check_file(to, expected, SIZE);
    }
    CHECK_EQUAL(pr_file_copy(from, 0, to, 0, 0), 0);
    CHECK_EQUAL(pr_file_copy(from, 1, to, 0, SIZE), -ENODATA);
    close(from);
    close(to);
}

/* Sizes. */

static void a_file_is_cut_and_extended_by_zeros(void) {
    static const uint64_t sizes[] = {PAGE + 100, 5 * PAGE, PAGE - 1, 0, 1, 3 * PAGE + 1};
    for (int disk = 0; disk < 2; disk++) {
        int fd = disk ? on_disk() : on_tmpfs();
        uint64_t written = 4 * PAGE + 5;
        fill(fd, written, 0);
        for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
            uint64_t before = size_of(fd), size = sizes[index];
            CHECK_EQUAL(size < before ? pr_file_cut(fd, size) : pr_file_extend(fd, size), 0);
            CHECK_EQUAL(size_of(fd), size);
            if (size < written) written = size;
            check_zeros(fd, written, size);
        }
        CHECK_EQUAL(pr_file_extend(fd, 5), 0); /* it is longer: nothing to do */
        CHECK_EQUAL(pr_file_extend(fd, 3 * PAGE + 1), 0);
        CHECK_EQUAL(size_of(fd), 3 * PAGE + 1);
        close(fd);
    }
}

static void growing_keeps_what_is_there(void) {
    static unsigned char expected[SIZE];
    int fd = on_disk();
    fill(fd, PAGE + 10, 0);
    content(0, PAGE + 10, 0, expected);
    memset(expected + PAGE + 10, 0, 2 * PAGE);
    CHECK_EQUAL(pr_file_extend(fd, 3 * PAGE + 10), 0);
    check_file(fd, expected, 3 * PAGE + 10);
    close(fd);
}

static void files_and_folders_can_be_synced(void) {
    int file = on_disk(), folder = (int)MUST(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fill(file, PAGE, 0);
    CHECK_EQUAL(pr_file_sync(file), 0);
    CHECK_EQUAL(pr_file_sync(folder), 0);
    close(file);
    close(folder);
}

/* Errors. */

enum action { WRITE, SYNC, COPY, OVERWRITE, OVERWRITE_FRESH, CUT, EXTEND };

static int act(enum action action, int to, int from) {
    switch (action) {
    case WRITE: return pr_file_write(to, "bytes", 5, 10);
    case SYNC: return pr_file_sync(to);
    case COPY: return pr_file_copy(from, 0, to, 0, 2 * CHUNK);
    case OVERWRITE: return overwrite(to, from, 10, 2 * CHUNK, false);
    case OVERWRITE_FRESH: return overwrite(to, from, 10, 2 * CHUNK, true);
    case CUT: return pr_file_cut(to, SIZE - 1);
    default: return pr_file_extend(to, SIZE + 1);
    }
}

static const struct {
    enum action action;
    enum pr_call call;
    int error;
    unsigned skip;
} faults[] = {
    {WRITE, PR_CALL_PWRITE, ENOSPC, 0},
    {WRITE, PR_CALL_PWRITE, EIO, 0},
    {SYNC, PR_CALL_FSYNC, EIO, 0},
    {COPY, PR_CALL_ALLOCATE, ENOMEM, 0},
    {COPY, PR_CALL_PREAD, EIO, 0},
    {COPY, PR_CALL_PREAD, EIO, 1},
    {COPY, PR_CALL_PWRITE, ENOSPC, 1},
    {OVERWRITE, PR_CALL_ALLOCATE, ENOMEM, 0},
    {OVERWRITE, PR_CALL_PREAD, EIO, 0},
    {OVERWRITE, PR_CALL_PREAD, EIO, 2},
    {OVERWRITE, PR_CALL_PWRITE, ENOSPC, 0},
    {OVERWRITE, PR_CALL_PWRITE, EIO, 2},
    {OVERWRITE_FRESH, PR_CALL_PREAD, EIO, 0}, /* what is carried over in front */
    {OVERWRITE_FRESH, PR_CALL_PREAD, EIO, 1}, /* the source */
    {OVERWRITE_FRESH, PR_CALL_PREAD, EIO, 4}, /* what is carried over behind */
    {OVERWRITE_FRESH, PR_CALL_FALLOCATE, EOPNOTSUPP, 0},
    {OVERWRITE_FRESH, PR_CALL_FALLOCATE, EPERM, 2},
    {OVERWRITE_FRESH, PR_CALL_PWRITE, ENOSPC, 1},
    {CUT, PR_CALL_FTRUNCATE, EIO, 0},
    {EXTEND, PR_CALL_FSTAT, EIO, 0},
    {EXTEND, PR_CALL_PWRITE, EFBIG, 0},
};

static void a_call_that_fails_is_told(void) {
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) {
        int to = on_tmpfs(), from = on_tmpfs();
        fill(to, SIZE, 0);
        fill(from, SIZE, 1);
        pr_fault_set(faults[index].call, faults[index].error, faults[index].skip, 1);
        CHECK_EQUAL(act(faults[index].action, to, from), -faults[index].error);
        pr_fault_set(faults[index].call, 0, 0, 0);
        CHECK_EQUAL(act(faults[index].action, to, from), 0);
        close(to);
        close(from);
    }
}

static void an_interrupted_call_is_made_again(void) {
    static const enum pr_call calls[] = {PR_CALL_PREAD, PR_CALL_PWRITE, PR_CALL_FALLOCATE, PR_CALL_FTRUNCATE,
                                         PR_CALL_FSYNC};
    for (enum action action = WRITE; action <= EXTEND; action++) {
        int to = on_tmpfs(), from = on_tmpfs();
        fill(to, SIZE, 0);
        fill(from, SIZE, 1);
        for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
            pr_fault_set(calls[index], EINTR, 0, 3);
            CHECK_EQUAL(act(action, to, from), 0);
            pr_fault_set(calls[index], 0, 0, 0);
        }
        close(to);
        close(from);
    }
}

/* Nothing has changed where it fails before the first write, also not by a punch. */
static void a_source_that_cannot_be_read_changes_nothing(void) {
    static unsigned char expected[SIZE];
    int to = on_tmpfs(), from = on_tmpfs();
    fill(to, SIZE, 0);
    content(0, SIZE, 0, expected);
    for (int fresh = 0; fresh < 2; fresh++) {
        CHECK_EQUAL(overwrite(to, from, 5, PAGE, fresh), -ENODATA);
        pr_fault_set(PR_CALL_PREAD, EIO, 0, 1);
        CHECK_EQUAL(overwrite(to, from, 5, PAGE, fresh), -EIO);
        pr_fault_set(PR_CALL_PREAD, 0, 0, 0);
    }
    pr_fault_set(PR_CALL_FALLOCATE, EOPNOTSUPP, 0, 1);
    fill(from, PAGE, 1);
    CHECK_EQUAL(overwrite(to, from, 5, PAGE, true), -EOPNOTSUPP);
    pr_fault_set(PR_CALL_FALLOCATE, 0, 0, 0);
    check_file(to, expected, SIZE);
    close(to);
    close(from);
}

static struct pr_sys real;

static ssize_t short_pread(int fd, void *buffer, size_t length, off_t offset) {
    return real.pread(fd, buffer, length > 1 ? length / 2 : length, offset);
}

static ssize_t short_pwrite(int fd, const void *buffer, size_t length, off_t offset) {
    return real.pwrite(fd, buffer, length > 1 ? length / 2 : length, offset);
}

static ssize_t no_pwrite(int fd, const void *buffer, size_t length, off_t offset) {
    (void)fd, (void)buffer, (void)length, (void)offset;
    return 0;
}

static void short_calls_are_gone_on_with(void) {
    real = pr_sys;
    pr_sys.pread = short_pread;
    pr_sys.pwrite = short_pwrite;
    overwrite_at_random(on_tmpfs(), 3 * PAGE + 7, false);
    overwrite_at_random(on_tmpfs(), 3 * PAGE + 7, true);
    a_copy_is_exact();
    pr_sys = real;
}

static void a_write_that_takes_nothing_is_one_of_a_full_disk(void) {
    int fd = on_tmpfs();
    real = pr_sys;
    pr_sys.pwrite = no_pwrite;
    CHECK_EQUAL(pr_file_write(fd, "bytes", 5, 0), -ENOSPC);
    CHECK_EQUAL(pr_file_extend(fd, 5), -ENOSPC);
    pr_sys = real;
    close(fd);
}

static void a_descriptor_that_cannot_be_written_is_refused(void) {
    int fd = (int)MUST(open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_EQUAL(pr_file_write(fd, "x", 1, 0), -EBADF);
    CHECK_EQUAL(pr_file_write(-1, "x", 1, 0), -EBADF);
    CHECK_EQUAL(pr_file_sync(-1), -EBADF);
    CHECK_EQUAL(pr_file_cut(-1, 0), -EBADF);
    CHECK_EQUAL(pr_file_extend(-1, 5), -EBADF);
    CHECK_EQUAL(pr_file_copy(-1, 0, fd, 0, 5), -EBADF);
    close(fd);
}

int main(void) {
    pr_faults_enable();
    random_state = test_seed();
    RUN(fresh_pages_touch_whole_pages);
    RUN(every_byte_is_as_it_should_be);
    RUN(fresh_pages_leave_a_body_in_flight_as_it_was);
    RUN(without_them_it_changes);
    RUN(parts_of_pages_leave_it_as_it_was_too);
    RUN(the_last_page_is_let_go_of_though_it_is_not_full);
    RUN(who_asks_afterwards_gets_the_new_bytes);
    RUN(a_copy_is_exact);
    RUN(a_file_is_cut_and_extended_by_zeros);
    RUN(growing_keeps_what_is_there);
    RUN(files_and_folders_can_be_synced);
    RUN(a_call_that_fails_is_told);
    RUN(an_interrupted_call_is_made_again);
    RUN(a_source_that_cannot_be_read_changes_nothing);
    RUN(short_calls_are_gone_on_with);
    RUN(a_write_that_takes_nothing_is_one_of_a_full_disk);
    RUN(a_descriptor_that_cannot_be_written_is_refused);
    return 0;
}
