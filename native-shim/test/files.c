/* What is done to files: every byte against a model in memory, and each call that can fail. */
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/file.h"

enum { PAGE = 4096, CHUNK = 256 << 10, SIZE = 3 * CHUNK + 5 * PAGE + 1234 };

static uint64_t random_state;

/* Copying. */

struct span {
    uint64_t offset, length;
};

static struct span random_span(void) {
    struct span span = {.offset = test_below(&random_state, SIZE)};
    uint64_t most[] = {10, 3 * PAGE, 2 * CHUNK, SIZE}, left = SIZE - span.offset;
    uint64_t limit = most[test_below(&random_state, 4)];
    span.length = 1 + test_below(&random_state, left < limit ? left : limit);
    return span;
}

static void a_copy_is_exact(void) {
    enum { ROUNDS = 20 };
    static unsigned char expected[SIZE];
    int from = file_on_disk(), to = file_on_tmpfs();
    file_fill(from, SIZE, 1);
    file_fill(to, SIZE, 0);
    content(0, SIZE, 0, expected);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct span span = random_span();
        uint64_t source = test_below(&random_state, SIZE - span.length + 1);
        content(source, span.length, 1, expected + span.offset);
        CHECK_EQUAL(pr_file_copy(from, source, to, span.offset, span.length), 0);
        file_check(to, expected, SIZE);
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
        int fd = disk ? file_on_disk() : file_on_tmpfs();
        uint64_t written = 4 * PAGE + 5;
        file_fill(fd, written, 0);
        for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
            uint64_t before = file_size(fd), size = sizes[index];
            CHECK_EQUAL(size < before ? pr_file_cut(fd, size) : pr_file_extend(fd, size), 0);
            CHECK_EQUAL(file_size(fd), size);
            if (size < written) written = size;
            file_check_zeros(fd, written, size);
        }
        CHECK_EQUAL(pr_file_extend(fd, 5), 0); /* it is longer: nothing to do */
        CHECK_EQUAL(pr_file_extend(fd, 3 * PAGE + 1), 0);
        CHECK_EQUAL(file_size(fd), 3 * PAGE + 1);
        close(fd);
    }
}

static void growing_keeps_what_is_there(void) {
    static unsigned char expected[SIZE];
    int fd = file_on_disk();
    file_fill(fd, PAGE + 10, 0);
    content(0, PAGE + 10, 0, expected);
    memset(expected + PAGE + 10, 0, 2 * PAGE);
    CHECK_EQUAL(pr_file_extend(fd, 3 * PAGE + 10), 0);
    file_check(fd, expected, 3 * PAGE + 10);
    close(fd);
}

static void files_and_folders_can_be_synced(void) {
    int file = file_on_disk(), folder = (int)MUST(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    file_fill(file, PAGE, 0);
    CHECK_EQUAL(pr_file_sync(file), 0);
    CHECK_EQUAL(pr_file_sync(folder), 0);
    close(file);
    close(folder);
}

/* Errors. */

enum action { WRITE, READ, SYNC, COPY, CUT, EXTEND };

static int act(enum action action, int to, int from) {
    switch (action) {
    case WRITE: return pr_file_write(to, "bytes", 5, 10);
    case READ: return pr_file_read(to, (char[5]){0}, 5, 10);
    case SYNC: return pr_file_sync(to);
    case COPY: return pr_file_copy(from, 0, to, 0, 2 * CHUNK);
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
    {WRITE, PR_CALL_PWRITE, ENOSPC, 0}, {WRITE, PR_CALL_PWRITE, EIO, 0},     {READ, PR_CALL_PREAD, EIO, 0},
    {SYNC, PR_CALL_FSYNC, EIO, 0},      {COPY, PR_CALL_ALLOCATE, ENOMEM, 0}, {COPY, PR_CALL_PREAD, EIO, 0},
    {COPY, PR_CALL_PREAD, EIO, 1},      {COPY, PR_CALL_PWRITE, ENOSPC, 1},   {CUT, PR_CALL_FTRUNCATE, EIO, 0},
    {EXTEND, PR_CALL_FSTAT, EIO, 0},    {EXTEND, PR_CALL_PWRITE, EFBIG, 0},
};

static void a_call_that_fails_is_told(void) {
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) {
        int to = file_on_tmpfs(), from = file_on_tmpfs();
        file_fill(to, SIZE, 0);
        file_fill(from, SIZE, 1);
        pr_fault_set(faults[index].call, faults[index].error, faults[index].skip, 1);
        CHECK_EQUAL(act(faults[index].action, to, from), -faults[index].error);
        pr_fault_set(faults[index].call, 0, 0, 0);
        CHECK_EQUAL(act(faults[index].action, to, from), 0);
        close(to);
        close(from);
    }
}

static void an_interrupted_call_is_made_again(void) {
    static const enum pr_call calls[] = {PR_CALL_PREAD, PR_CALL_PWRITE, PR_CALL_FTRUNCATE, PR_CALL_FSYNC};
    for (enum action action = WRITE; action <= EXTEND; action++) {
        int to = file_on_tmpfs(), from = file_on_tmpfs();
        file_fill(to, SIZE, 0);
        file_fill(from, SIZE, 1);
        for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
            pr_fault_set(calls[index], EINTR, 0, 3);
            CHECK_EQUAL(act(action, to, from), 0);
            pr_fault_set(calls[index], 0, 0, 0);
        }
        close(to);
        close(from);
    }
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
    a_copy_is_exact();
    pr_sys = real;
}

static void a_write_that_takes_nothing_is_one_of_a_full_disk(void) {
    int fd = file_on_tmpfs();
    real = pr_sys;
    pr_sys.pwrite = no_pwrite;
    CHECK_EQUAL(pr_file_write(fd, "bytes", 5, 0), -ENOSPC);
    CHECK_EQUAL(pr_file_extend(fd, 5), -ENOSPC);
    pr_sys = real;
    close(fd);
}

static void it_is_told_how_far_a_write_came(void) {
    int fd = file_on_tmpfs();
    uint64_t at = 10;
    real = pr_sys;
    pr_sys.pwrite = short_pwrite;
    pr_fault_set(PR_CALL_PWRITE, EIO, 2, 1);
    CHECK_EQUAL(pr_file_write_on(fd, "0123456789abcdef", 16, &at), -EIO);
    CHECK_EQUAL(at, 10 + 8 + 4);
    pr_sys = real;
    CHECK_EQUAL(pr_file_write_on(fd, "cdef", 4, &at), 0);
    CHECK_EQUAL(at, 26);
    CHECK_EQUAL(pr_file_read(fd, (char[17]){0}, 17, 10), -ENODATA);
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
    RUN(a_copy_is_exact);
    RUN(a_file_is_cut_and_extended_by_zeros);
    RUN(growing_keeps_what_is_there);
    RUN(files_and_folders_can_be_synced);
    RUN(a_call_that_fails_is_told);
    RUN(an_interrupted_call_is_made_again);
    RUN(short_calls_are_gone_on_with);
    RUN(a_write_that_takes_nothing_is_one_of_a_full_disk);
    RUN(it_is_told_how_far_a_write_came);
    RUN(a_descriptor_that_cannot_be_written_is_refused);
    return 0;
}
