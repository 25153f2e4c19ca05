/*
 * Overwriting in place: every byte against a model in memory, pages in flight, and each call that can fail, after which
 * the old bytes are there, or a note of them.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/overwrite.h"

enum { PAGE = 4096, CHUNK = 256 << 10, SIZE = 3 * CHUNK + 5 * PAGE + 1234, LENGTH = 64 << 10 };

#define HEADING "what it is about\n"

static uint64_t random_state;
static struct pr_sys real;
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

static struct pr_overwrite plan(int to, int from, uint64_t offset, uint64_t length, bool fresh) {
    return (struct pr_overwrite){
        .to = to,
        .from = from,
        .offset = offset,
        .length = length,
        .page_size = PAGE,
        .file_size = file_size(to),
        .fresh = fresh,
        .note = note,
        .heading = HEADING,
    };
}

static int overwrite(int to, int from, uint64_t offset, uint64_t length, bool fresh) {
    struct pr_overwrite what = plan(to, from, offset, length, fresh);
    bool undone;
    int result = pr_overwrite(&what, &undone);
    CHECK(result == 0 || undone);
    check_no_note();
    return result;
}

/* The bytes. */

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
    file_check_zeros(fd, size, page_end);
    MUST(ftruncate(fd, (off_t)size));
}

static void overwrite_at_random(int fd, uint64_t size, bool fresh) {
    enum { ROUNDS = 40 };
    static unsigned char expected[SIZE];
    bool undone;
    file_fill(fd, size, 0);
    content(0, size, 0, expected);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct span span = random_span(size);
        int from = file_on_tmpfs();
        file_fill(from, span.length + 10, round);
        content(0, span.length, round, expected + span.offset);
        struct pr_overwrite what = plan(fd, from, span.offset, span.length, fresh);
        what.bytes = test_below(&random_state, 2) == 0 ? expected + span.offset : NULL;
        CHECK_EQUAL(pr_overwrite(&what, &undone), 0);
        close(from);
        file_check(fd, expected, size);
        check_no_note();
    }
    check_behind_the_end(fd, size);
    close(fd);
}

static void every_byte_is_as_it_should_be(void) {
    static const uint64_t sizes[] = {SIZE, 3 * CHUNK, PAGE - 1, 1};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++)
        for (int fresh = 0; fresh < 2; fresh++) {
            overwrite_at_random(file_on_tmpfs(), sizes[index], fresh);
            overwrite_at_random(file_on_disk(), sizes[index], fresh);
        }
}

static ssize_t short_pread(int fd, void *buffer, size_t length, off_t offset) {
    return real.pread(fd, buffer, length > 1 ? length / 2 : length, offset);
}

static ssize_t short_pwrite(int fd, const void *buffer, size_t length, off_t offset) {
    return real.pwrite(fd, buffer, length > 1 ? length / 2 : length, offset);
}

static void short_calls_are_gone_on_with(void) {
    real = pr_sys;
    pr_sys.pread = short_pread;
    pr_sys.pwrite = short_pwrite;
    overwrite_at_random(file_on_tmpfs(), 3 * PAGE + 7, false);
    overwrite_at_random(file_on_tmpfs(), 3 * PAGE + 7, true);
    pr_sys = real;
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
    int from = file_on_tmpfs();
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
        CHECK_EQUAL(file_size(flight.region.fd), LENGTH - 1000);
        land(&flight);
    }
}

/* What is sent afterwards is new. */
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

/* Failing. */

/* From the middle of a page over three chunks to the middle of another: each kind of call is made several times. */
enum { FROM = CHUNK - 2 * PAGE + 100, MUCH = CHUNK + 5 * PAGE };

static unsigned char old_bytes[SIZE], new_bytes[SIZE];

struct scene {
    int to, from;
    struct pr_overwrite what;
};

static struct scene set_up(bool fresh, bool in_memory) {
    struct scene scene = {.to = fresh ? file_on_tmpfs() : file_on_disk(), .from = file_on_tmpfs()};
    file_fill(scene.to, SIZE, 0);
    file_fill(scene.from, MUCH, 1);
    content(0, SIZE, 0, old_bytes);
    memcpy(new_bytes, old_bytes, SIZE);
    content(0, MUCH, 1, new_bytes + FROM);
    scene.what = plan(scene.to, scene.from, FROM, MUCH, fresh);
    if (in_memory) scene.what.bytes = new_bytes + FROM;
    return scene;
}

static void take_down(struct scene *scene) {
    close(scene->to);
    close(scene->from);
}

static const struct {
    enum pr_call call;
    int error;
    unsigned places[2]; /* where it fails: without fresh pages, with them; from a file */
} faults[] = {
    {PR_CALL_ALLOCATE, ENOMEM, {2, 2}},      /* what is kept; a buffer for the source */
    {PR_CALL_PREAD, EIO, {4, 4}},            /* the old bytes; the source for each chunk */
    {PR_CALL_OPEN, EMFILE, {0, 1}},          /* the note */
    {PR_CALL_PWRITE, ENOSPC, {3, 6}},        /* the note, the chunks, and what is carried over on either side */
    {PR_CALL_FALLOCATE, EOPNOTSUPP, {0, 3}}, /* a chunk */
    {PR_CALL_FSYNC, EIO, {1, 1}},
};

/* Fails `count` times from each place on where the call is made, and gives how many there are. */
static unsigned fail_everywhere(size_t fault, bool fresh, bool in_memory, unsigned count) {
    bool undone;
    for (unsigned place = 0;; place++) {
        struct scene scene = set_up(fresh, in_memory);
        pr_fault_set(faults[fault].call, faults[fault].error, place, count);
        int result = pr_overwrite(&scene.what, &undone);
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
    for (size_t fault = 0; fault < sizeof faults / sizeof *faults; fault++)
        for (int fresh = 0; fresh < 2; fresh++) {
            CHECK_EQUAL(fail_everywhere(fault, fresh, false, 1), faults[fault].places[fresh]);
            fail_everywhere(fault, fresh, true, 1);
        }
}

static void so_they_are_when_putting_them_back_fails_a_few_times(void) {
    for (size_t fault = 0; fault < sizeof faults / sizeof *faults; fault++)
        if (faults[fault].call == PR_CALL_PWRITE || faults[fault].call == PR_CALL_FSYNC)
            for (int fresh = 0; fresh < 2; fresh++) fail_everywhere(fault, fresh, true, 3);
}

static void an_interrupted_call_is_made_again(void) {
    bool undone;
    for (size_t fault = 0; fault < sizeof faults / sizeof *faults; fault++) {
        if (faults[fault].call == PR_CALL_ALLOCATE) continue;
        struct scene scene = set_up(true, false);
        pr_fault_set(faults[fault].call, EINTR, 0, 3);
        CHECK_EQUAL(pr_overwrite(&scene.what, &undone), 0);
        pr_fault_set(faults[fault].call, 0, 0, 0);
        file_check(scene.to, new_bytes, SIZE);
        take_down(&scene);
    }
    check_no_note();
}

static void a_source_that_is_too_short_changes_nothing(void) {
    for (int fresh = 0; fresh < 2; fresh++) {
        struct scene scene = set_up(fresh, false);
        MUST(ftruncate(scene.from, 1000));
        CHECK_EQUAL(overwrite(scene.to, scene.from, 5, PAGE, fresh), -ENODATA);
        file_check(scene.to, old_bytes, SIZE);
        take_down(&scene);
    }
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
    if (seen->what.fresh)
        check_note(seen, note);
    else
        check_no_note();
    times_seen++;
    return real.fsync(fd);
}

static void while_pages_are_punched_out_there_is_a_whole_note(void) {
    bool undone;
    real = pr_sys;
    for (int fresh = 0; fresh < 2; fresh++) {
        struct scene scene = set_up(fresh, true);
        seen = &scene;
        times_seen = 0;
        pr_sys.fallocate = look_and_punch;
        pr_sys.fsync = look_and_sync;
        CHECK_EQUAL(pr_overwrite(&scene.what, &undone), 0);
        pr_sys = real;
        CHECK_EQUAL(times_seen, fresh ? 4 : 1);
        check_no_note();
        take_down(&scene);
    }
}

static void what_cannot_be_put_back_is_left_in_a_note(void) {
    static const enum pr_call calls[] = {PR_CALL_FSYNC, PR_CALL_PWRITE};
    for (int fresh = 0; fresh < 2; fresh++) {
        struct scene scene = set_up(fresh, true);
        enum pr_call call = calls[fresh]; /* with fresh pages a write fails that comes after that of the note */
        bool undone;
        pr_fault_set(call, EIO, fresh ? 3 : 0, 100);
        CHECK_EQUAL(pr_overwrite(&scene.what, &undone), -EIO);
        pr_fault_set(call, 0, 0, 0);
        CHECK(!undone);
        check_note(&scene, note);
        MUST(unlink(note));
        take_down(&scene);
    }
}

static void where_no_note_can_be_written_either_there_is_none(void) {
    struct scene scene = set_up(false, true);
    bool undone;
    pr_fault_set(PR_CALL_FSYNC, EIO, 0, 100);
    pr_fault_set(PR_CALL_OPEN, EMFILE, 0, 1);
    CHECK_EQUAL(pr_overwrite(&scene.what, &undone), -EIO);
    pr_fault_set(PR_CALL_FSYNC, 0, 0, 0);
    CHECK(!undone);
    check_no_note();
    take_down(&scene);
}

/* A write that fails has written nothing: with the first one there is nothing to be put back, and none is tried. */
static void a_disk_that_is_full_from_the_start_needs_no_undoing(void) {
    struct scene scene = set_up(false, true);
    bool undone;
    pr_fault_set(PR_CALL_PWRITE, ENOSPC, 0, 100);
    CHECK_EQUAL(pr_overwrite(&scene.what, &undone), -ENOSPC);
    pr_fault_set(PR_CALL_PWRITE, 0, 0, 0);
    CHECK(undone);
    file_check(scene.to, old_bytes, SIZE);
    check_no_note();
    take_down(&scene);
}

static void holes_of_a_full_tmpfs_are_not_filled_with_their_zeros(void) {
    int to = file_on_tmpfs();
    bool undone;
    MUST(ftruncate(to, SIZE));
    struct pr_overwrite what = plan(to, -1, FROM, MUCH, true);
    what.bytes = new_bytes;
    pr_fault_set(PR_CALL_PWRITE, ENOSPC, 1, 100); /* after the note */
    CHECK_EQUAL(pr_overwrite(&what, &undone), -ENOSPC);
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
    int result = pr_overwrite(&scene->what, undone);
    pr_sys = real;
    MUST(rmdir(note));
    return result;
}

/* It would undo what is written later. */
static void a_note_that_cannot_be_removed_is_emptied(void) {
    struct scene scene = set_up(true, true);
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
    struct scene scene = set_up(true, true);
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
    RUN(fresh_pages_touch_whole_pages);
    RUN(every_byte_is_as_it_should_be);
    RUN(short_calls_are_gone_on_with);
    RUN(fresh_pages_leave_a_body_in_flight_as_it_was);
    RUN(without_them_it_changes);
    RUN(parts_of_pages_leave_it_as_it_was_too);
    RUN(the_last_page_is_let_go_of_though_it_is_not_full);
    RUN(who_asks_afterwards_gets_the_new_bytes);
    RUN(after_a_call_that_fails_the_old_bytes_are_there);
    RUN(so_they_are_when_putting_them_back_fails_a_few_times);
    RUN(an_interrupted_call_is_made_again);
    RUN(a_source_that_is_too_short_changes_nothing);
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
