/* Overwriting in place: each call that can fail, after which the old bytes are there, or a note of them. */
#include "overwrite-scene.h"

static struct pr_sys real;

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
    {PR_CALL_OPEN, EMFILE, {1, 1, 2}},          /* the note; the file past the page cache */
    {PR_CALL_PWRITE, ENOSPC, {4, 4, 4}},        /* the note, and the chunks */
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
    check_note(seen, note);
    times_seen++;
    return real.fsync(fd);
}

static ssize_t look_and_write(int fd, const void *bytes, size_t length, off_t offset) {
    bool is_note = offset == 0; /* no chunk begins there */
    if (!is_note) check_note(seen, note);
    times_seen += !is_note;
    return real.pwrite(fd, bytes, length, offset);
}

static void from_before_the_first_byte_changes_there_is_a_whole_note(void) {
    bool undone;
    real = pr_sys;
    EACH_MEANS(means) {
        struct scene scene = set_up(means, true);
        seen = &scene;
        times_seen = 0;
        pr_sys.fallocate = look_and_punch;
        pr_sys.fsync = look_and_sync;
        pr_sys.pwrite = look_and_write;
        CHECK_EQUAL(overwrite_one(&scene.what, &undone), 0);
        pr_sys = real;
        CHECK_EQUAL(times_seen, means == PR_MEANS_PUNCH ? 7 : 4); /* three chunks, and the flush */
        check_no_note();
        take_down(&scene);
    }
}

static void what_cannot_be_put_back_is_left_in_a_note(void) {
    EACH_MEANS(means) {
        struct scene scene = set_up(means, true);
        bool undone;
        pr_fault_set(PR_CALL_PWRITE, EIO, 2, 100); /* behind the note and the first chunk */
        CHECK_EQUAL(overwrite_one(&scene.what, &undone), -EIO);
        pr_fault_set(PR_CALL_PWRITE, 0, 0, 0);
        CHECK(!undone);
        check_note(&scene, note);
        MUST(unlink(note));
        take_down(&scene);
    }
}

static void without_a_note_nothing_is_changed(void) {
    EACH_MEANS(means) {
        struct scene scene = set_up(means, true);
        bool undone;
        MUST(mkdir(note, 0700)); /* in its place */
        CHECK_EQUAL(overwrite_one(&scene.what, &undone), -EISDIR);
        CHECK(undone);
        MUST(rmdir(note));
        file_check(scene.to, old_bytes, SIZE);
        check_no_note();
        take_down(&scene);
    }
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
    scene_begin();
    RUN(after_a_call_that_fails_the_old_bytes_are_there);
    RUN(so_they_are_when_putting_them_back_fails_a_few_times);
    RUN(an_interrupted_call_is_made_again);
    RUN(a_source_that_is_too_short_changes_nothing);
    RUN(those_that_go_together_share_one_flush_and_unsynced_ones_have_none);
    RUN(when_their_flush_fails_all_of_them_are_undone);
    RUN(one_of_them_that_fails_leaves_the_others_alone);
    RUN(without_memory_for_the_list_none_is_begun);
    RUN(from_before_the_first_byte_changes_there_is_a_whole_note);
    RUN(what_cannot_be_put_back_is_left_in_a_note);
    RUN(without_a_note_nothing_is_changed);
    RUN(a_disk_that_is_full_from_the_start_needs_no_undoing);
    RUN(holes_of_a_full_tmpfs_are_not_filled_with_their_zeros);
    RUN(a_note_that_cannot_be_removed_is_emptied);
    RUN(one_that_can_be_neither_is_the_last_word);
    scene_end();
    return 0;
}
