/* A log's thread: what it writes, what it tells of, and that nobody waits for it. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "http/log.h"

/* What was told of the pieces so far. */
struct told {
    pthread_mutex_t lock;
    unsigned pieces;
    size_t bytes;
    int error;
};

static void tell(void *context, size_t bytes, int error) {
    struct told *told = context;
    pthread_mutex_lock(&told->lock);
    told->pieces++;
    told->bytes += bytes;
    told->error = error;
    pthread_mutex_unlock(&told->lock);
}

static struct told now(struct told *told) {
    pthread_mutex_lock(&told->lock);
    struct told copy = {.pieces = told->pieces, .bytes = told->bytes, .error = told->error};
    pthread_mutex_unlock(&told->lock);
    return copy;
}

/* The thread is detached: it is gone when what it has allocated is free. */
static void close_log(struct pr_log *log, size_t allocated) {
    pr_log_close(log);
    wait_until(pr_allocated_bytes() == allocated, 8000);
}

#define TOLD                                                                                                           \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

static void pieces_are_written_in_their_order(void) {
    enum { PIECES = 50 };
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fds[2];
    char piece[100], read_back[PIECES * sizeof piece];
    MUST(pipe2(fds, O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fds[1], tell, &told, &log), 0);
    for (unsigned count = 0; count < PIECES; count++) {
        memset(piece, 'a' + (int)(count % 26), sizeof piece);
        CHECK_EQUAL(pr_log_write(log, piece, sizeof piece), 0);
        wait_until(now(&told).pieces == count + 1, 8000);
    }
    CHECK_EQUAL(now(&told).bytes, sizeof read_back);
    CHECK_EQUAL(now(&told).error, 0);
    CHECK_EQUAL(MUST(read(fds[0], read_back, sizeof read_back)), sizeof read_back);
    for (unsigned at = 0; at < sizeof read_back; at++) CHECK(read_back[at] == 'a' + (int)(at / sizeof piece % 26));
    close_log(log, allocated);
    close(fds[0]);
    close(fds[1]);
}

static void an_error_is_told_with_what_was_written_before_it(void) {
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fd = (int)MUST(open("/dev/full", O_WRONLY | O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
    for (unsigned count = 1; count <= 3; count++) {
        CHECK_EQUAL(pr_log_write(log, "line\n", 5), 0);
        wait_until(now(&told).pieces == count, 8000);
        CHECK_EQUAL(now(&told).error, ENOSPC);
        CHECK_EQUAL(now(&told).bytes, 0);
    }
    close_log(log, allocated);
    close(fd);
}

/* With O_NONBLOCK, which somebody else has set, and without. */
static void a_full_pipe_is_waited_for_by_the_thread_alone(void) {
    enum { CAPACITY = 4096, LENGTH = 5 * CAPACITY };
    static const int flags[] = {0, O_NONBLOCK};
    static char bytes[LENGTH], read_back[LENGTH];
    for (size_t index = 0; index < 2; index++) {
        struct told told = TOLD;
        struct pr_log *log;
        size_t allocated = pr_allocated_bytes(), got = 0;
        int fds[2];
        MUST(pipe2(fds, O_CLOEXEC));
        MUST(fcntl(fds[1], F_SETPIPE_SZ, CAPACITY));
        MUST(fcntl(fds[1], F_SETFL, flags[index]));
        CHECK_EQUAL(pr_log_open(fds[1], tell, &told, &log), 0);
        CHECK_EQUAL(pr_log_write(log, bytes, LENGTH), 0);
        CHECK_EQUAL(pr_log_write(log, "more", 4), -EBUSY);
        stays(now(&told).pieces == 0, 50);
        CHECK_EQUAL(MUST(fcntl(fds[1], F_GETFL)) & O_NONBLOCK, flags[index]);
        while (got < LENGTH) got += (size_t)MUST(read(fds[0], read_back, LENGTH));
        wait_until(now(&told).pieces == 1, 8000);
        CHECK_EQUAL(now(&told).bytes, LENGTH);
        close_log(log, allocated);
        close(fds[0]);
        close(fds[1]);
    }
}

/* Bytes in a pipe. */
static int waits_in(int fd) {
    int count;
    MUST(ioctl(fd, FIONREAD, &count));
    return count;
}

static void another_file_takes_the_place_of_the_one_before_between_two_pieces(void) {
    enum { CAPACITY = 4096, LENGTH = 2 * CAPACITY };
    static char bytes[LENGTH], read_back[LENGTH];
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes(), got = 0;
    int before[2], skipped[2], after[2];
    MUST(pipe2(before, O_CLOEXEC));
    MUST(pipe2(skipped, O_CLOEXEC));
    MUST(pipe2(after, O_CLOEXEC));
    MUST(fcntl(before[1], F_SETPIPE_SZ, CAPACITY));
    CHECK_EQUAL(pr_log_open(before[1], tell, &told, &log), 0);
    CHECK_EQUAL(pr_log_write(log, bytes, LENGTH), 0);
    wait_until(waits_in(before[0]) == CAPACITY, 8000);
    pr_log_reopen(log, skipped[1]); /* while it writes; the next one follows before that has ended */
    pr_log_reopen(log, after[1]);
    stays(now(&told).pieces == 0, 50);
    while (got < LENGTH) got += (size_t)MUST(read(before[0], read_back, LENGTH));
    wait_until(now(&told).pieces == 1, 8000);
    CHECK_EQUAL(now(&told).bytes, LENGTH);
    CHECK_EQUAL(MUST(read(before[0], read_back, LENGTH)), 0); /* closed, without being written to again */
    CHECK_EQUAL(MUST(read(skipped[0], read_back, LENGTH)), 0);
    CHECK_EQUAL(pr_log_write(log, "next\n", 5), 0);
    CHECK_EQUAL(MUST(read(after[0], read_back, LENGTH)), 5);
    wait_until(now(&told).pieces == 2, 8000);
    close_log(log, allocated);
    close(before[0]);
    close(before[1]);
    close(skipped[0]);
    close(after[0]);
}

static void closing_does_not_wait_for_a_write(void) {
    static char bytes[1 << 20];
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fds[1], tell, &told, &log), 0);
    CHECK_EQUAL(pr_log_write(log, bytes, sizeof bytes), 0);
    wait_until(waits_in(fds[0]) > 0, 8000);
    pr_log_end(log);
    pr_log_close(log);
    CHECK(pr_allocated_bytes() > allocated); /* the thread is still in its write */
    close(fds[0]);                           /* EPIPE */
    wait_until(pr_allocated_bytes() == allocated, 8000);
    CHECK_EQUAL(now(&told).pieces, 0);
    MUST(syscall(SYS_close, fds[1])); /* The thread is gone, but TSan can't know: nothing joins it. */
}

static void without_memory_nothing_is_begun(void) {
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fd = (int)MUST(open("/dev/null", O_WRONLY | O_CLOEXEC));
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), -ENOMEM);
    CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_log_write(log, "line\n", 5), -ENOMEM);
    CHECK_EQUAL(pr_log_write(log, "line\n", 5), 0);
    wait_until(now(&told).pieces == 1, 8000);
    close_log(log, allocated);
    close(fd);
}

/* The queue of lines. */

static bool add_line(struct pr_log *log, const char *line) {
    size_t length = strlen(line);
    char *room = pr_log_room(log, length + 100);
    if (!room) return false;
    memcpy(room, line, length);
    pr_log_add(log, length);
    return true;
}

static size_t read_all(int fd, char *into, size_t length) {
    size_t got = 0;
    while (got < length) got += (size_t)MUST(read(fd, into + got, length - got));
    return got;
}

static void lines_of_the_queue_are_written_in_their_order_beside_pieces(void) {
    enum { LINES = 2000 };
    static char bytes[LINES * 16];
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes(), expected = 0;
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC));
    MUST(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20));
    CHECK_EQUAL(pr_log_open(fds[1], tell, &told, &log), 0);
    for (unsigned line = 0, pieces = 0; line < LINES; line++) {
        char text[16];
        expected += (size_t)sprintf(text, "line %u\n", line);
        CHECK(add_line(log, text));
        if (line % 100 != 50) continue;
        wait_until(now(&told).pieces == pieces, 8000);
        pieces++;
        CHECK_EQUAL(pr_log_write(log, "of a piece\n", 11), 0);
        expected += 11;
    }
    read_all(fds[0], bytes, expected);
    unsigned lines = 0, pieces = 0;
    for (char *at = bytes, *end; at < bytes + expected; at = end + 1) {
        unsigned number;
        end = memchr(at, '\n', (size_t)(bytes + expected - at));
        CHECK(end);
        *end = '\0';
        if (strcmp(at, "of a piece") == 0)
            pieces++;
        else if (sscanf(at, "line %u", &number) != 1 || number != lines++)
            FAIL("line %u is \"%s\"", lines, at);
    }
    CHECK_EQUAL(lines, LINES);
    CHECK_EQUAL(pieces, LINES / 100);
    CHECK_EQUAL(pr_log_lost(log), 0);
    wait_until(pr_log_is_idle(log), 8000);
    close_log(log, allocated);
    close(fds[0]);
    close(fds[1]);
}

/* A pipe that nobody reads: nobody waits, and each line is either written later or counted. */
static void what_a_queue_has_no_room_for_is_lost_and_counted(void) {
    enum { LENGTH = 1000, LINES = 5000 };
    static char line[LENGTH + 1], read_back[LINES * LENGTH];
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    unsigned taken = 0;
    int fds[2];
    memset(line, 'a', LENGTH - 1);
    line[LENGTH - 1] = '\n';
    MUST(pipe2(fds, O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fds[1], tell, &told, &log), 0);
    for (unsigned count = 0; count < LINES; count++) taken += add_line(log, line);
    CHECK(taken > 1000 && taken < LINES);
    CHECK_EQUAL(pr_log_lost(log), LINES - taken);
    CHECK(!pr_log_is_idle(log));
    size_t length = (size_t)taken * LENGTH;
    read_all(fds[0], read_back, length);
    for (size_t at = 0; at < length; at += LENGTH) CHECK(memcmp(read_back + at, line, LENGTH) == 0);
    wait_until(pr_log_is_idle(log), 8000);
    CHECK(add_line(log, line)); /* there is room again */
    read_all(fds[0], read_back, LENGTH);
    CHECK_EQUAL(pr_log_lost(log), LINES - taken);
    close_log(log, allocated);
    close(fds[0]);
    close(fds[1]);
}

static void a_line_longer_than_any_room_is_lost(void) {
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fd = (int)MUST(open("/dev/null", O_WRONLY | O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
    CHECK(!pr_log_room(log, (1 << 20) + 1));
    CHECK_EQUAL(pr_log_lost(log), 1);
    close_log(log, allocated);
    close(fd);
}

static void lines_that_can_not_be_written_are_counted(void) {
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fd = (int)MUST(open("/dev/full", O_WRONLY | O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
    for (unsigned round = 1; round <= 3; round++) {
        for (int each = 0; each < 10; each++) CHECK(add_line(log, "a line\n"));
        wait_until(pr_log_is_idle(log), 8000);
        CHECK_EQUAL(pr_log_lost(log), 10 * round);
    }
    CHECK_EQUAL(now(&told).pieces, 0); /* nobody is told of lines */
    close_log(log, allocated);
    close(fd);
}

/* A file that may grow no further (RLIMIT_FSIZE) cuts a line as a full file system does, and can be let grow again. */
static void let_grow(rlim_t size) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = size;
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
}

static void expect_file(int fd, const char *expected) {
    char got[256] = "";
    MUST(pread(fd, got, sizeof got - 1, 0));
    if (strcmp(got, expected) != 0) FAIL("\"%s\", not \"%s\"", got, expected);
}

static void behind_a_line_that_was_cut_the_next_begins_anew(void) {
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    int fd = file_on_disk();
    MUST(fcntl(fd, F_SETFL, O_APPEND));
    CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
    let_grow(12);
    CHECK(add_line(log, "line 1\n"));
    wait_until(pr_log_is_idle(log), 8000);
    CHECK(add_line(log, "line 2\n"));
    wait_until(pr_log_is_idle(log), 8000);
    expect_file(fd, "line 1\nline ");
    CHECK_EQUAL(pr_log_lost(log), 1);
    CHECK(add_line(log, "line 3\n"));
    wait_until(pr_log_is_idle(log), 8000);
    expect_file(fd, "line 1\nline ");
    CHECK_EQUAL(pr_log_lost(log), 2);
    let_grow(RLIM_INFINITY);
    CHECK(add_line(log, "line 4\n"));
    wait_until(pr_log_is_idle(log), 8000);
    expect_file(fd, "line 1\nline \nline 4\n");
    CHECK(add_line(log, "line 5\n"));
    wait_until(pr_log_is_idle(log), 8000);
    expect_file(fd, "line 1\nline \nline 4\nline 5\n");
    CHECK_EQUAL(pr_log_lost(log), 2);
    close_log(log, allocated);
    close(fd);
}

/* Whichever of the two was cut, and whichever follows. */
static void so_it_is_with_pieces(void) {
    for (int piece_is_cut = 0; piece_is_cut < 2; piece_is_cut++) {
        struct told told = TOLD;
        struct pr_log *log;
        size_t allocated = pr_allocated_bytes();
        int fd = file_on_disk();
        MUST(fcntl(fd, F_SETFL, O_APPEND));
        CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
        let_grow(5);
        if (piece_is_cut) {
            CHECK_EQUAL(pr_log_write(log, "a piece\n", 8), 0);
            wait_until(now(&told).pieces == 1, 8000);
            CHECK_EQUAL(now(&told).bytes, 5);
            CHECK_EQUAL(now(&told).error, EFBIG);
        } else {
            CHECK(add_line(log, "a line\n"));
            wait_until(pr_log_is_idle(log), 8000);
        }
        let_grow(RLIM_INFINITY);
        if (piece_is_cut) {
            CHECK(add_line(log, "a line\n"));
        } else {
            CHECK_EQUAL(pr_log_write(log, "a piece\n", 8), 0);
            wait_until(now(&told).pieces == 1, 8000);
            CHECK_EQUAL(now(&told).bytes, 8);
        }
        wait_until(pr_log_is_idle(log), 8000);
        expect_file(fd, piece_is_cut ? "a pie\na line\n" : "a lin\na piece\n");
        close_log(log, allocated);
        close(fd);
    }
}

static void the_last_user_ends_it_and_what_was_queued_is_written(void) {
    struct told told = TOLD;
    struct pr_log *log;
    size_t allocated = pr_allocated_bytes();
    char bytes[14];
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fds[1], tell, &told, &log), 0);
    pr_log_keep(log);
    pr_log_end(log);
    pr_log_close(log);
    CHECK(add_line(log, "line 1\n")); /* its other user's */
    CHECK(add_line(log, "line 2\n"));
    close_log(log, allocated);
    CHECK_EQUAL(read_all(fds[0], bytes, sizeof bytes), sizeof bytes);
    CHECK(memcmp(bytes, "line 1\nline 2\n", sizeof bytes) == 0);
    CHECK_EQUAL(now(&told).pieces, 0);
    close(fds[0]);
    MUST(syscall(SYS_close, fds[1]));
}

static void without_memory_a_line_is_lost(void) {
    int fd = (int)MUST(open("/dev/null", O_WRONLY | O_CLOEXEC));
    for (unsigned skip = 0; skip < 2; skip++) { /* both of its buffers are made for the first line */
        struct told told = TOLD;
        struct pr_log *log;
        size_t allocated = pr_allocated_bytes();
        CHECK_EQUAL(pr_log_open(fd, tell, &told, &log), 0);
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, skip, 1);
        CHECK(!add_line(log, "a line\n"));
        CHECK_EQUAL(pr_log_lost(log), 1);
        CHECK(add_line(log, "a line\n"));
        wait_until(pr_log_is_idle(log), 8000);
        CHECK_EQUAL(pr_log_lost(log), 1);
        close_log(log, allocated);
    }
    close(fd);
}

int main(void) {
    pr_faults_enable();
    signal(SIGXFSZ, SIG_IGN);
    RUN(pieces_are_written_in_their_order);
    RUN(an_error_is_told_with_what_was_written_before_it);
    RUN(a_full_pipe_is_waited_for_by_the_thread_alone);
    RUN(another_file_takes_the_place_of_the_one_before_between_two_pieces);
    RUN(closing_does_not_wait_for_a_write);
    RUN(without_memory_nothing_is_begun);
    RUN(lines_of_the_queue_are_written_in_their_order_beside_pieces);
    RUN(what_a_queue_has_no_room_for_is_lost_and_counted);
    RUN(a_line_longer_than_any_room_is_lost);
    RUN(lines_that_can_not_be_written_are_counted);
    RUN(behind_a_line_that_was_cut_the_next_begins_anew);
    RUN(so_it_is_with_pieces);
    RUN(the_last_user_ends_it_and_what_was_queued_is_written);
    RUN(without_memory_a_line_is_lost);
    return 0;
}
