/*
 * Overwriting in place: every byte against a model in memory, pages in flight, and each call that can fail, after which
 * the old bytes are there, or a note of them.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/direct.h"
#include "pages/overwrite.h"

enum { PAGE = 4096, CHUNK = 256 << 10, SIZE = 3 * CHUNK + 5 * PAGE + 1234, LENGTH = 64 << 10 };

#define HEADING "what it is about\n"

static uint64_t random_state;
static struct pr_sys real;
static bool direct_is_here;
static char folder[] = "/tmp/pagerelay-overwrite-XXXXXX", note[64], elsewhere[64];

static unsigned files_in_folder(void) {
    unsigned count = 0;
    DIR *directory = opendir(folder);
    CHECK(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 2; /* . and .. */
}

static void check_no_note(void) {
    CHECK_EQUAL(files_in_folder(), 0);
}

static struct pr_overwrite plan(int to, int from, uint64_t offset, uint64_t length, enum pr_means means) {
    return (struct pr_overwrite){
        .to = to,
        .from = from,
        .offset = offset,
        .length = length,
        .page_size = PAGE,
        .file_size = file_size(to),
        .means = means,
        .note = note,
        .heading = HEADING,
    };
}

static int overwrite_one(const struct pr_overwrite *what, bool *undone) {
    struct pr_overwritten ended;
    pr_overwrite_all(what, &ended, 1);
    *undone = ended.undone;
    return ended.result;
}

static int overwrite(int to, int from, uint64_t offset, uint64_t length, enum pr_means means) {
    struct pr_overwrite what = plan(to, from, offset, length, means);
    bool undone;
    int result = overwrite_one(&what, &undone);
    CHECK(result == 0 || undone);
    check_no_note();
    return result;
}

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

static int file_for(enum pr_means means) {
    return means == PR_MEANS_DIRECT ? file_on_disk() : file_on_tmpfs();
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
        pr_fault_set(PR_CALL_PWRITE, EIO, means == PR_MEANS_PUNCH ? 2 : 1, 1); /* the second chunk, behind the note */
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

/* Failing. */

/* From the middle of a page over three chunks to the middle of another: each kind of call is made several times. */
enum { FROM = CHUNK - 2 * PAGE + 100, MUCH = CHUNK + 5 * PAGE };

static unsigned char old_bytes[SIZE], new_bytes[SIZE];

struct scene {
    int to, from;
    struct pr_overwrite what;
};

static struct scene set_up(enum pr_means means, bool in_memory) {
    struct scene scene = {.to = means == PR_MEANS_PUNCH ? file_on_tmpfs() : file_on_disk(), .from = file_on_tmpfs()};
    file_fill(scene.to, SIZE, 0);
    file_fill(scene.from, MUCH, 1);
    content(0, SIZE, 0, old_bytes);
    memcpy(new_bytes, old_bytes, SIZE);
    content(0, MUCH, 1, new_bytes + FROM);
    scene.what = plan(scene.to, scene.from, FROM, MUCH, means);
    if (in_memory) scene.what.bytes = new_bytes + FROM;
    return scene;
}

static void take_down(struct scene *scene) {
    close(scene->to);
    close(scene->from);
}

/* What can be done to a file here, and how. */
#define EACH_MEANS(means)                                                                                              \
    for (enum pr_means means = PR_MEANS_WAIT; means <= (direct_is_here ? PR_MEANS_DIRECT : PR_MEANS_PUNCH); means++)

static const struct {
    enum pr_call call;
    int error;
    unsigned places[PR_MEANS_COUNT]; /* where it fails, from a file */
} faults[] = {
    {PR_CALL_ALLOCATE, ENOMEM, {3, 3, 3}},      /* the list; what is kept; a buffer */
    {PR_CALL_PREAD, EIO, {4, 4, 4}},            /* the old bytes; the source for each chunk */
    {PR_CALL_OPEN, EMFILE, {0, 1, 1}},          /* the note; the file past the page cache */
    {PR_CALL_PWRITE, ENOSPC, {3, 4, 3}},        /* the note, and the chunks */
    {PR_CALL_FALLOCATE, EOPNOTSUPP, {0, 3, 0}}, /* a chunk */
    {PR_CALL_FSYNC, EIO, {1, 1, 1}},
};

/* Fails `count` times from each place on where the call is made, and gives how many there are. */
static unsigned fail_everywhere(size_t fault, enum pr_means means, bool in_memory, unsigned count) {
    bool undone;
    for (unsigned place = 0;; place++) {
        struct scene scene = set_up(means, in_memory);
        pr_fault_set(faults[fault].call, faults[fault].error, place, count);
        int result = overwrite_one(&scene.what, &undone);
        pr_fault_set(faults[fault].call, 0, 0, 0);
        file_check(scene.to, result == 0 ? new_bytes : old_bytes, SIZE);
        take_down(&scene);
        check_no_note();
        if (result == 0) return place;
        CHECK_EQUAL(result, -faults[fault].error);
        CHECK(undone);
    }
}

static void after_a_call_that_fails_the_old_bytes_are_there(void) {
    for (size_t fault = 0; fault < sizeof faults / sizeof *faults; fault++) EACH_MEANS(means) {
            CHECK_EQUAL(fail_everywhere(fault, means, false, 1), faults[fault].places[means]);
            fail_everywhere(fault, means, true, 1);
        }
}

static void so_they_are_when_putting_them_back_fails_a_few_times(void) {
    for (size_t fault = 0; fault < sizeof faults / sizeof *faults; fault++)
        if (faults[fault].call == PR_CALL_PWRITE || faults[fault].call == PR_CALL_FSYNC)
            EACH_MEANS(means) fail_everywhere(fault, means, true, 3);
}

static void check_interrupted(size_t fault, enum pr_means means) {
    struct scene scene = set_up(means, false);
    bool undone;
    pr_fault_set(faults[fault].call, EINTR, 0, 3);
    CHECK_EQUAL(overwrite_one(&scene.what, &undone), 0);
    pr_fault_set(faults[fault].call, 0, 0, 0);
    file_check(scene.to, new_bytes, SIZE);
    take_down(&scene);
}

static void an_interrupted_call_is_made_again(void) {
    for (size_t fault = 0; fault < sizeof faults / sizeof *faults; fault++)
        if (faults[fault].call != PR_CALL_ALLOCATE) EACH_MEANS(means) check_interrupted(fault, means);
    check_no_note();
}

static void a_source_that_is_too_short_changes_nothing(void) {
    EACH_MEANS(means) {
        struct scene scene = set_up(means, false);
        MUST(ftruncate(scene.from, 1000));
        CHECK_EQUAL(overwrite(scene.to, scene.from, 5, PAGE, means), -ENODATA);
        file_check(scene.to, old_bytes, SIZE);
        take_down(&scene);
    }
}

/* Several that go together. */

enum { TOGETHER = 3 };

struct together {
    int to;
    char notes[TOGETHER][80];
    struct pr_overwrite list[TOGETHER];
    struct pr_overwritten ended[TOGETHER];
};

/* Each overwrites two pages of a chunk of its own, from the middle of a page on. */
static struct together *set_up_together(enum pr_means means, bool unsynced) {
    struct together *all = calloc(1, sizeof *all);
    CHECK(all);
    all->to = file_for(means);
    file_fill(all->to, SIZE, 0);
    content(0, SIZE, 0, old_bytes);
    memcpy(new_bytes, old_bytes, SIZE);
    for (unsigned at = 0; at < TOGETHER; at++) {
        uint64_t offset = at * (uint64_t)CHUNK + 100;
        content(0, 2 * PAGE, at + 1, new_bytes + offset);
        all->list[at] = plan(all->to, -1, offset, 2 * PAGE, means);
        all->list[at].bytes = new_bytes + offset;
        all->list[at].unsynced = unsynced;
        snprintf(all->notes[at], sizeof all->notes[at], "%s.%u", note, at);
        all->list[at].note = all->notes[at];
    }
    return all;
}

static void take_down_together(struct together *all) {
    check_no_note();
    close(all->to);
    free(all);
}

static unsigned flushes;

static int count_and_sync(int fd) {
    flushes++;
    return real.fsync(fd);
}

static void check_flushes(enum pr_means means, bool unsynced, unsigned expected) {
    struct together *all = set_up_together(means, unsynced);
    real = pr_sys;
    flushes = 0;
    pr_sys.fsync = count_and_sync;
    pr_overwrite_all(all->list, all->ended, TOGETHER);
    pr_sys = real;
    CHECK_EQUAL(flushes, expected);
    for (unsigned at = 0; at < TOGETHER; at++) CHECK_EQUAL(all->ended[at].result, 0);
    file_check(all->to, new_bytes, SIZE);
    take_down_together(all);
}

static void those_that_go_together_share_one_flush_and_unsynced_ones_have_none(void) {
    EACH_MEANS(means) {
        check_flushes(means, false, 1);
        check_flushes(means, true, 0);
    }
}

static void when_their_flush_fails_all_of_them_are_undone(void) {
    EACH_MEANS(means) {
        struct together *all = set_up_together(means, false);
        pr_fault_set(PR_CALL_FSYNC, EIO, 0, 1);
        pr_overwrite_all(all->list, all->ended, TOGETHER);
        pr_fault_set(PR_CALL_FSYNC, 0, 0, 0);
        for (unsigned at = 0; at < TOGETHER; at++) CHECK(all->ended[at].result == -EIO && all->ended[at].undone);
        file_check(all->to, old_bytes, SIZE);
        take_down_together(all);
    }
}

static void one_of_them_that_fails_leaves_the_others_alone(void) {
    EACH_MEANS(means)
    for (unsigned failing = 0; failing < TOGETHER; failing++) {
        struct together *all = set_up_together(means, false);
        struct pr_overwrite *one = &all->list[failing];
        one->bytes = NULL;
        one->from = file_on_tmpfs(); /* too short */
        memcpy(new_bytes + one->offset, old_bytes + one->offset, one->length);
        pr_overwrite_all(all->list, all->ended, TOGETHER);
        for (unsigned at = 0; at < TOGETHER; at++) CHECK_EQUAL(all->ended[at].result, at == failing ? -ENODATA : 0);
        CHECK(all->ended[failing].undone);
        file_check(all->to, new_bytes, SIZE);
        close(one->from);
        take_down_together(all);
    }
}

static void without_memory_for_the_list_none_is_begun(void) {
    struct together *all = set_up_together(PR_MEANS_PUNCH, false);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    pr_overwrite_all(all->list, all->ended, TOGETHER);
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    for (unsigned at = 0; at < TOGETHER; at++) CHECK(all->ended[at].result == -ENOMEM && all->ended[at].undone);
    file_check(all->to, old_bytes, SIZE);
    take_down_together(all);
}

/* Notes. */

static void check_note(const struct scene *scene, const char *path) {
    static unsigned char got[SIZE + sizeof HEADING];
    uint64_t first, end;
    size_t heading = sizeof HEADING - 1;
    pr_overwrite_span(&scene->what, &first, &end);
    int fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));
    struct stat status;
    MUST(fstat(fd, &status));
    CHECK_EQUAL(status.st_mode & 07777, 0600);
    CHECK_EQUAL(MUST(read(fd, got, sizeof got)), heading + (end - first));
    CHECK(memcmp(got, HEADING, heading) == 0 && memcmp(got + heading, old_bytes + first, end - first) == 0);
    CHECK_EQUAL(files_in_folder(), 1);
    close(fd);
}

/* As it can be seen from inside of a call, where a process could die. */
static const struct scene *seen;
static unsigned times_seen;

static int look_and_punch(int fd, int mode, off_t offset, off_t length) {
    check_note(seen, note);
    times_seen++;
    return real.fallocate(fd, mode, offset, length);
}

static int look_and_sync(int fd) {
    if (seen->what.means == PR_MEANS_PUNCH)
        check_note(seen, note);
    else
        check_no_note();
    times_seen++;
    return real.fsync(fd);
}

static void while_pages_are_punched_out_there_is_a_whole_note(void) {
    bool undone;
    real = pr_sys;
    EACH_MEANS(means) {
        struct scene scene = set_up(means, true);
        seen = &scene;
        times_seen = 0;
        pr_sys.fallocate = look_and_punch;
        pr_sys.fsync = look_and_sync;
        CHECK_EQUAL(overwrite_one(&scene.what, &undone), 0);
        pr_sys = real;
        CHECK_EQUAL(times_seen, means == PR_MEANS_PUNCH ? 4 : 1);
        check_no_note();
        take_down(&scene);
    }
}

static void what_cannot_be_put_back_is_left_in_a_note(void) {
    EACH_MEANS(means) {
        struct scene scene = set_up(means, true);
        bool punches = means == PR_MEANS_PUNCH; /* then a write fails that comes after that of the note */
        enum pr_call call = punches ? PR_CALL_PWRITE : PR_CALL_FSYNC;
        bool undone;
        pr_fault_set(call, EIO, punches ? 3 : 0, 100);
        CHECK_EQUAL(overwrite_one(&scene.what, &undone), -EIO);
        pr_fault_set(call, 0, 0, 0);
        CHECK(!undone);
        check_note(&scene, note);
        MUST(unlink(note));
        take_down(&scene);
    }
}

static void where_no_note_can_be_written_either_there_is_none(void) {
    struct scene scene = set_up(PR_MEANS_WAIT, true);
    bool undone;
    pr_fault_set(PR_CALL_FSYNC, EIO, 0, 100);
    pr_fault_set(PR_CALL_OPEN, EMFILE, 0, 1);
    CHECK_EQUAL(overwrite_one(&scene.what, &undone), -EIO);
    pr_fault_set(PR_CALL_FSYNC, 0, 0, 0);
    CHECK(!undone);
    check_no_note();
    take_down(&scene);
}

/*
 * A write that fails has written nothing: with the first one there is nothing to be put back, and none is tried. After
 * a direct write the medium says so.
 */
static void a_disk_that_is_full_from_the_start_needs_no_undoing(void) {
    EACH_MEANS(means) {
        struct scene scene = set_up(means, true);
        bool undone;
        pr_fault_set(PR_CALL_PWRITE, ENOSPC, 0, 100);
        CHECK_EQUAL(overwrite_one(&scene.what, &undone), -ENOSPC);
        pr_fault_set(PR_CALL_PWRITE, 0, 0, 0);
        CHECK(undone);
        file_check(scene.to, old_bytes, SIZE);
        check_no_note();
        take_down(&scene);
    }
}

static void holes_of_a_full_tmpfs_are_not_filled_with_their_zeros(void) {
    int to = file_on_tmpfs();
    bool undone;
    MUST(ftruncate(to, SIZE));
    struct pr_overwrite what = plan(to, -1, FROM, MUCH, PR_MEANS_PUNCH);
    what.bytes = new_bytes;
    pr_fault_set(PR_CALL_PWRITE, ENOSPC, 1, 100); /* after the note */
    CHECK_EQUAL(overwrite_one(&what, &undone), -ENOSPC);
    pr_fault_set(PR_CALL_PWRITE, 0, 0, 0);
    CHECK(undone);
    file_check_zeros(to, 0, SIZE);
    check_no_note();
    close(to);
}

/* Once: somebody moves it away, and has a folder of its name. */
static int hide_note_and_sync(int fd) {
    MUST(rename(note, elsewhere));
    MUST(mkdir(note, 0700));
    pr_sys.fsync = real.fsync;
    return real.fsync(fd);
}

static int overwrite_while_note_is_hidden(const struct scene *scene, bool *undone) {
    real = pr_sys;
    pr_sys.fsync = hide_note_and_sync;
    int result = overwrite_one(&scene->what, undone);
    pr_sys = real;
    MUST(rmdir(note));
    return result;
}

/* It would undo what is written later. */
static void a_note_that_cannot_be_removed_is_emptied(void) {
    struct scene scene = set_up(PR_MEANS_PUNCH, true);
    bool undone;
    CHECK_EQUAL(overwrite_while_note_is_hidden(&scene, &undone), 0);
    int fd = (int)MUST(open(elsewhere, O_RDONLY | O_CLOEXEC));
    CHECK_EQUAL(file_size(fd), 0);
    close(fd);
    file_check(scene.to, new_bytes, SIZE);
    MUST(unlink(elsewhere));
    take_down(&scene);
}

static void one_that_can_be_neither_is_the_last_word(void) {
    struct scene scene = set_up(PR_MEANS_PUNCH, true);
    bool undone;
    pr_fault_set(PR_CALL_FTRUNCATE, EIO, 0, 100);
    CHECK_EQUAL(overwrite_while_note_is_hidden(&scene, &undone), -EIO);
    pr_fault_set(PR_CALL_FTRUNCATE, 0, 0, 0);
    CHECK(!undone);
    file_check(scene.to, old_bytes, SIZE);
    check_note(&scene, elsewhere);
    MUST(unlink(elsewhere));
    take_down(&scene);
}

int main(void) {
    pr_faults_enable();
    random_state = test_seed();
    CHECK(mkdtemp(folder));
    snprintf(note, sizeof note, "%s/note", folder);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    int disk = file_on_disk();
    direct_is_here = pr_direct_alignment(disk) == 0;
    close(disk);
    if (!direct_is_here) printf("  SKIPPED: direct writes, which /tmp does not promise\n");
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
    RUN(after_a_call_that_fails_the_old_bytes_are_there);
    RUN(so_they_are_when_putting_them_back_fails_a_few_times);
    RUN(an_interrupted_call_is_made_again);
    RUN(a_source_that_is_too_short_changes_nothing);
    RUN(those_that_go_together_share_one_flush_and_unsynced_ones_have_none);
    RUN(when_their_flush_fails_all_of_them_are_undone);
    RUN(one_of_them_that_fails_leaves_the_others_alone);
    RUN(without_memory_for_the_list_none_is_begun);
    RUN(while_pages_are_punched_out_there_is_a_whole_note);
    RUN(what_cannot_be_put_back_is_left_in_a_note);
    RUN(where_no_note_can_be_written_either_there_is_none);
    RUN(a_disk_that_is_full_from_the_start_needs_no_undoing);
    RUN(holes_of_a_full_tmpfs_are_not_filled_with_their_zeros);
    RUN(a_note_that_cannot_be_removed_is_emptied);
    RUN(one_that_can_be_neither_is_the_last_word);
    MUST(rmdir(folder));
    return 0;
}
