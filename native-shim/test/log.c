/* A log's thread: what it writes, what it tells of, and that nobody waits for it. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
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

int main(void) {
    pr_faults_enable();
    RUN(pieces_are_written_in_their_order);
    RUN(an_error_is_told_with_what_was_written_before_it);
    RUN(a_full_pipe_is_waited_for_by_the_thread_alone);
    RUN(another_file_takes_the_place_of_the_one_before_between_two_pieces);
    RUN(closing_does_not_wait_for_a_write);
    RUN(without_memory_nothing_is_begun);
    return 0;
}
