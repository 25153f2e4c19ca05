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

/* The log of a test, what its descriptor is, and the reading end where that is a pipe. */
static struct pr_log *log_;
static int written_to, read_from;
static size_t allocated; /* before it */

/* What was told of its pieces so far. */
static struct told {
    unsigned pieces;
    size_t bytes;
    int error;
} told;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void tell(void *context, size_t bytes, int error) {
    (void)context;
    pthread_mutex_lock(&lock);
    told.pieces++;
    told.bytes += bytes;
    told.error = error;
    pthread_mutex_unlock(&lock);
}

static struct told now(void) {
    pthread_mutex_lock(&lock);
    struct told copy = told;
    pthread_mutex_unlock(&lock);
    return copy;
}

static void open_log(int fd) {
    told = (struct told){0};
    written_to = fd;
    read_from = -1;
    allocated = pr_allocated_bytes();
    CHECK_EQUAL(pr_log_open(fd, tell, NULL, &log_), 0);
}

static void open_log_at(const char *path) {
    open_log((int)MUST(open(path, O_WRONLY | O_CLOEXEC)));
}

static void open_pipe(int capacity, int flags) {
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC));
    MUST(fcntl(fds[1], F_SETPIPE_SZ, capacity));
    MUST(fcntl(fds[1], F_SETFL, flags));
    open_log(fds[1]);
    read_from = fds[0];
}

/* The thread is detached: it is gone when what it has allocated is free. */
static void wait_until_gone(void) {
    wait_until(pr_allocated_bytes() == allocated, 8000);
}

static void close_log(void) {
    pr_log_close(log_);
    wait_until_gone();
    close(written_to);
    if (read_from >= 0) close(read_from);
}

static void write_piece(const char *piece, unsigned pieces) {
    CHECK_EQUAL(pr_log_write(log_, piece, strlen(piece)), 0);
    wait_until(now().pieces == pieces, 8000);
}

static void pieces_are_written_in_their_order(void) {
    enum { PIECES = 50 };
    char piece[100], read_back[PIECES * sizeof piece];
    open_pipe(64 << 10, 0);
    for (unsigned count = 0; count < PIECES; count++) {
        memset(piece, 'a' + (int)(count % 26), sizeof piece);
        CHECK_EQUAL(pr_log_write(log_, piece, sizeof piece), 0);
        wait_until(now().pieces == count + 1, 8000);
    }
    CHECK_EQUAL(now().bytes, sizeof read_back);
    CHECK_EQUAL(now().error, 0);
    CHECK_EQUAL(MUST(read(read_from, read_back, sizeof read_back)), sizeof read_back);
    for (unsigned at = 0; at < sizeof read_back; at++) CHECK(read_back[at] == 'a' + (int)(at / sizeof piece % 26));
    close_log();
}

static void an_error_is_told_with_what_was_written_before_it(void) {
    open_log_at("/dev/full");
    for (unsigned count = 1; count <= 3; count++) {
        write_piece("line\n", count);
        CHECK_EQUAL(now().error, ENOSPC);
        CHECK_EQUAL(now().bytes, 0);
    }
    close_log();
}

/* With O_NONBLOCK, which somebody else has set, and without. */
static void a_full_pipe_is_waited_for_by_the_thread_alone(void) {
    enum { CAPACITY = 4096, LENGTH = 5 * CAPACITY };
    static const int flags[] = {0, O_NONBLOCK};
    static char bytes[LENGTH], read_back[LENGTH];
    for (size_t index = 0; index < 2; index++) {
        size_t got = 0;
        open_pipe(CAPACITY, flags[index]);
        CHECK_EQUAL(pr_log_write(log_, bytes, LENGTH), 0);
        CHECK_EQUAL(pr_log_write(log_, "more", 4), -EBUSY);
        stays(now().pieces == 0, 50);
        CHECK_EQUAL(MUST(fcntl(written_to, F_GETFL)) & O_NONBLOCK, flags[index]);
        while (got < LENGTH) got += (size_t)MUST(read(read_from, read_back, LENGTH));
        wait_until(now().pieces == 1, 8000);
        CHECK_EQUAL(now().bytes, LENGTH);
        close_log();
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
    size_t got = 0;
    int skipped[2], after[2];
    MUST(pipe2(skipped, O_CLOEXEC));
    MUST(pipe2(after, O_CLOEXEC));
    open_pipe(CAPACITY, 0);
    CHECK_EQUAL(pr_log_write(log_, bytes, LENGTH), 0);
    wait_until(waits_in(read_from) == CAPACITY, 8000);
    pr_log_reopen(log_, skipped[1]); /* while it writes; the next one follows before that has ended */
    pr_log_reopen(log_, after[1]);
    stays(now().pieces == 0, 50);
    while (got < LENGTH) got += (size_t)MUST(read(read_from, read_back, LENGTH));
    wait_until(now().pieces == 1, 8000);
    CHECK_EQUAL(now().bytes, LENGTH);
    CHECK_EQUAL(MUST(read(read_from, read_back, LENGTH)), 0); /* closed, without being written to again */
    CHECK_EQUAL(MUST(read(skipped[0], read_back, LENGTH)), 0);
    CHECK_EQUAL(pr_log_write(log_, "next\n", 5), 0);
    CHECK_EQUAL(MUST(read(after[0], read_back, LENGTH)), 5);
    wait_until(now().pieces == 2, 8000);
    close_log();
    close(skipped[0]);
    close(after[0]);
}

static void closing_does_not_wait_for_a_write(void) {
    static char bytes[1 << 20];
    open_pipe(64 << 10, 0);
    CHECK_EQUAL(pr_log_write(log_, bytes, sizeof bytes), 0);
    wait_until(waits_in(read_from) > 0, 8000);
    pr_log_end(log_);
    pr_log_close(log_);
    CHECK(pr_allocated_bytes() > allocated); /* the thread is still in its write */
    close(read_from);                        /* EPIPE */
    wait_until_gone();
    CHECK_EQUAL(now().pieces, 0);
    MUST(syscall(SYS_close, written_to)); /* The thread is gone, but TSan can't know: nothing joins it. */
}

static void without_memory_nothing_is_begun(void) {
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_log_open(1, tell, NULL, &log_), -ENOMEM);
    open_log_at("/dev/null");
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_log_write(log_, "line\n", 5), -ENOMEM);
    write_piece("line\n", 1);
    close_log();
}

/* The queue of lines. */

static bool add_line(const char *line) {
    uint64_t lost = pr_log_lost(log_);
    pr_log_add(log_, line, strlen(line));
    return pr_log_lost(log_) == lost;
}

static void write_line(const char *line) {
    pr_log_add(log_, line, strlen(line));
    wait_until(pr_log_is_idle(log_), 8000);
}

static size_t read_all(int fd, char *into, size_t length) {
    size_t got = 0;
    while (got < length) got += (size_t)MUST(read(fd, into + got, length - got));
    return got;
}

static void lines_of_the_queue_are_written_in_their_order_beside_pieces(void) {
    enum { LINES = 2000 };
    static char bytes[LINES * 16];
    size_t expected = 0;
    open_pipe(1 << 20, 0);
    for (unsigned line = 0, pieces = 0; line < LINES; line++) {
        char text[16];
        expected += (size_t)sprintf(text, "line %u\n", line);
        CHECK(add_line(text));
        if (line % 100 != 50) continue;
        wait_until(now().pieces == pieces, 8000);
        pieces++;
        CHECK_EQUAL(pr_log_write(log_, "of a piece\n", 11), 0);
        expected += 11;
    }
    read_all(read_from, bytes, expected);
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
    CHECK_EQUAL(pr_log_lost(log_), 0);
    wait_until(pr_log_is_idle(log_), 8000);
    close_log();
}

/* A pipe that nobody reads: nobody waits, and each line is either written later or counted. */
static void what_a_queue_has_no_room_for_is_lost_and_counted(void) {
    enum { LENGTH = 1000, LINES = 5000 };
    static char line[LENGTH + 1], read_back[LINES * LENGTH];
    unsigned taken = 0;
    memset(line, 'a', LENGTH - 1);
    line[LENGTH - 1] = '\n';
    open_pipe(64 << 10, 0);
    for (unsigned count = 0; count < LINES; count++) taken += add_line(line);
    CHECK(taken > 1000 && taken < LINES);
    CHECK_EQUAL(pr_log_lost(log_), LINES - taken);
    CHECK(!pr_log_is_idle(log_));
    size_t length = (size_t)taken * LENGTH;
    read_all(read_from, read_back, length);
    for (size_t at = 0; at < length; at += LENGTH) CHECK(memcmp(read_back + at, line, LENGTH) == 0);
    wait_until(pr_log_is_idle(log_), 8000);
    CHECK(add_line(line)); /* there is room again */
    read_all(read_from, read_back, LENGTH);
    CHECK_EQUAL(pr_log_lost(log_), LINES - taken);
    close_log();
}

static void a_line_longer_than_any_room_is_lost(void) {
    static char line[(1 << 20) + 1];
    memset(line, 'a', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    open_log_at("/dev/null");
    pr_log_add(log_, line, sizeof line);
    CHECK_EQUAL(pr_log_lost(log_), 1);
    pr_log_lose(log_);
    CHECK_EQUAL(pr_log_lost(log_), 2);
    CHECK(pr_log_is_idle(log_));
    close_log();
}

static void lines_that_can_not_be_written_are_counted(void) {
    open_log_at("/dev/full");
    for (unsigned round = 1; round <= 3; round++) {
        for (int each = 0; each < 10; each++) pr_log_add(log_, "a line\n", 7);
        wait_until(pr_log_is_idle(log_), 8000);
        CHECK_EQUAL(pr_log_lost(log_), 10 * round);
    }
    CHECK_EQUAL(now().pieces, 0); /* nobody is told of lines */
    close_log();
}

/* A file that may grow no further (RLIMIT_FSIZE) cuts a line as a full file system does, and can be let grow again. */
static void let_grow(rlim_t size) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = size;
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
}

static void expect_file(const char *expected) {
    char got[256] = "";
    MUST(pread(written_to, got, sizeof got - 1, 0));
    if (strcmp(got, expected) != 0) FAIL("\"%s\", not \"%s\"", got, expected);
}

static void behind_a_line_that_was_cut_the_next_begins_anew(void) {
    open_log(file_on_disk());
    MUST(fcntl(written_to, F_SETFL, O_APPEND));
    let_grow(12);
    write_line("line 1\n");
    write_line("line 2\n");
    expect_file("line 1\nline ");
    CHECK_EQUAL(pr_log_lost(log_), 1);
    write_line("line 3\n");
    expect_file("line 1\nline ");
    CHECK_EQUAL(pr_log_lost(log_), 2);
    let_grow(RLIM_INFINITY);
    write_line("line 4\n");
    expect_file("line 1\nline \nline 4\n");
    write_line("line 5\n");
    expect_file("line 1\nline \nline 4\nline 5\n");
    CHECK_EQUAL(pr_log_lost(log_), 2);
    close_log();
}

/* Whichever of the two was cut, and whichever follows. */
static void so_it_is_with_pieces(void) {
    for (int piece_is_cut = 0; piece_is_cut < 2; piece_is_cut++) {
        open_log(file_on_disk());
        MUST(fcntl(written_to, F_SETFL, O_APPEND));
        let_grow(5);
        if (piece_is_cut) {
            write_piece("a piece\n", 1);
            CHECK_EQUAL(now().bytes, 5);
            CHECK_EQUAL(now().error, EFBIG);
        } else {
            write_line("a line\n");
        }
        let_grow(RLIM_INFINITY);
        if (piece_is_cut) {
            CHECK(add_line("a line\n"));
        } else {
            write_piece("a piece\n", 1);
            CHECK_EQUAL(now().bytes, 8);
        }
        wait_until(pr_log_is_idle(log_), 8000);
        expect_file(piece_is_cut ? "a pie\na line\n" : "a lin\na piece\n");
        close_log();
    }
}

static void the_last_user_ends_it_and_what_was_queued_is_written(void) {
    char bytes[14];
    open_pipe(64 << 10, 0);
    pr_log_keep(log_);
    pr_log_end(log_);
    pr_log_close(log_);
    CHECK(add_line("line 1\n")); /* its other user's */
    CHECK(add_line("line 2\n"));
    pr_log_close(log_);
    wait_until_gone();
    CHECK_EQUAL(read_all(read_from, bytes, sizeof bytes), sizeof bytes);
    CHECK(memcmp(bytes, "line 1\nline 2\n", sizeof bytes) == 0);
    CHECK_EQUAL(now().pieces, 0);
    close(read_from);
    MUST(syscall(SYS_close, written_to));
}

static void without_memory_a_line_is_lost(void) {
    for (unsigned skip = 0; skip < 2; skip++) { /* both of its buffers are made for the first line */
        open_log_at("/dev/null");
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, skip, 1);
        CHECK(!add_line("a line\n"));
        CHECK_EQUAL(pr_log_lost(log_), 1);
        write_line("a line\n");
        CHECK_EQUAL(pr_log_lost(log_), 1);
        close_log();
    }
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
