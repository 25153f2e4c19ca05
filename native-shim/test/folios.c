/* Whether a range of a tmpfs file is in folios of one page each, and what a hole in it does to what is in flight. */
#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages/file.h"
#include "pages/folios.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

enum { HUGE = 2 << 20, SIZE = 3 * HUGE - 4096, PIECE = 64 << 10, NOBODY = 65534 };

static int small(int fd, uint64_t offset, uint64_t length) {
    return pr_folios_are_small(fd, offset, length);
}

/* On a mount, which memfds are not on; without a name. */
static int file_in_shm(void) {
    char path[] = "/dev/shm/pagerelay-folios-XXXXXX";
    int fd = (int)MUST(mkostemp(path, O_CLOEXEC));
    MUST(unlink(path));
    return fd;
}

static void fill(int fd, uint64_t size, size_t piece) {
    char *bytes = calloc(1, piece);
    memset(bytes, 'o', piece);
    for (uint64_t at = 0; at < size; at += piece)
        CHECK_EQUAL(pr_file_write(fd, bytes, size - at < piece ? size - at : piece, at), 0);
    free(bytes);
}

/* Another process, which may only read the file, makes a huge page of this piece of it: 0, or -errno. */
static int collapse_by_a_reader(int fd, off_t at) {
    char path[32];
    int status;
    pid_t child = (pid_t)MUST(fork());
    if (child > 0) {
        MUST(waitpid(child, &status, 0));
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reading = open(path, O_RDONLY | O_CLOEXEC);
    char *reserved = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *window = reserved + (HUGE - (uintptr_t)reserved % HUGE) % HUGE;
    if (mmap(window, HUGE, PROT_READ, MAP_SHARED | MAP_FIXED, reading, at) != window) _exit(EIO);
    _exit(madvise(window, HUGE, MADV_COLLAPSE) == 0 ? 0 : errno);
}

static void collapse(int fd, off_t at) {
    int result = collapse_by_a_reader(fd, at);
    if (result < 0) test_skip("this kernel makes no huge page of a tmpfs file (MADV_COLLAPSE, Linux 6.1)");
}

/* Runs the check as a user without privileges, who can't see the kernel's flags of pages. */
static bool is_small_to_nobody(int fd, uint64_t offset, uint64_t length) {
    int status;
    pid_t child = (pid_t)MUST(fork());
    if (child == 0) {
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0) _exit(2); /* not root: then it is nobody already */
        prctl(PR_SET_DUMPABLE, 1);                              /* as after exec: what is its own in /proc */
        _exit(small(fd, offset, length));
    }
    MUST(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status) == 2 ? small(fd, offset, length) : WEXITSTATUS(status);
}

static void check(int fd, uint64_t offset, uint64_t length, bool expected) {
    CHECK_EQUAL(small(fd, offset, length), expected);
    CHECK_EQUAL(is_small_to_nobody(fd, offset, length), expected);
}

static void pages_of_a_usual_tmpfs_are_small(void) {
    int fd = file_in_shm();
    fill(fd, SIZE, PIECE);
    check(fd, 0, SIZE, true);
    check(fd, HUGE - 5000, 10000, true);
    check(fd, SIZE - 1, 1, true);
    close(fd);
}

static void what_a_reader_has_collapsed_is_not(void) {
    int fd = file_in_shm();
    fill(fd, SIZE, PIECE);
    collapse(fd, HUGE);
    check(fd, HUGE, PIECE, false);
    check(fd, 2 * HUGE - 1, 1, false);
    check(fd, HUGE - PIECE, 2 * PIECE, false);
    check(fd, 0, SIZE, false);
    check(fd, 0, HUGE, true);
    check(fd, 2 * HUGE, SIZE - 2 * HUGE, true);
    close(fd);
}

static void nor_is_a_huge_page_that_the_files_end_lies_in(void) {
    int fd = file_in_shm();
    fill(fd, HUGE + PIECE, PIECE);
    collapse(fd, HUGE);
    check(fd, HUGE, PIECE, false);
    check(fd, 0, PIECE, true);
    MUST(ftruncate(fd, 100));
    collapse(fd, 0);
    check(fd, 0, 100, false);
    close(fd);
}

static void looking_fills_no_hole(void) {
    struct stat status;
    int fd = file_in_shm();
    MUST(ftruncate(fd, 64 * HUGE));
    CHECK_EQUAL(pr_file_write(fd, "data", 4, 5 * HUGE + 5000), 0);
    check(fd, 0, 64 * HUGE, true);
    MUST(fstat(fd, &status));
    CHECK_EQUAL(status.st_blocks, 4096 / 512);
    close(fd);
}

/* In the place of the C library's: the kernel can take any page out of this process's view again at any time. */
static bool nothing_is_mapped;

int madvise(void *address, size_t length, int advice) {
    if (nothing_is_mapped && advice == MADV_POPULATE_READ) return 0;
    return (int)syscall(SYS_madvise, address, length, advice);
}

static void pages_that_are_not_seen_are_not_known_to_be_small(void) {
    int fd = file_in_shm();
    fill(fd, HUGE, PIECE);
    nothing_is_mapped = true;
    check(fd, 0, PIECE, false);
    nothing_is_mapped = false;
    check(fd, 0, PIECE, true);
    close(fd);
}

/* A memfd is on no mount whose options anybody could read. */
static void pages_of_a_memfd_are_known_to_who_can_see_them(void) {
    int fd = (int)MUST(memfd_create("region", MFD_CLOEXEC));
    fill(fd, SIZE, PIECE);
    bool seen = small(fd, 0, SIZE);
    CHECK_EQUAL(seen, geteuid() == 0);
    CHECK(!is_small_to_nobody(fd, 0, SIZE));
    collapse(fd, 0);
    check(fd, 0, PIECE, false);
    close(fd);
}

static int file_on_mount(const char *options) {
    char folder[] = "/tmp/pagerelay-folios-XXXXXX", path[64];
    CHECK(mkdtemp(folder));
    if (mount("none", folder, "tmpfs", 0, options) < 0) {
        rmdir(folder);
        return -1;
    }
    snprintf(path, sizeof path, "%s/region", folder);
    int fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    return fd;
}

/* Mounts of this test's own, which go with it. */
static bool may_mount(const char *name) {
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0) return true;
    printf("  SKIPPED: %s, only root may mount\n", name);
    return false;
}

static void unmount(int fd) {
    char path[64], link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = MUST(readlink(link, path, sizeof path - 1));
    path[length] = '\0';
    close(fd);
    *strrchr(path, '/') = '\0';
    MUST(umount2(path, MNT_DETACH));
    MUST(rmdir(path));
}

/* Folios of every size; with `within_size` those of 64 KiB, by writes of so much (Linux 6.14). */
static void where_large_folios_are_made_none_is_taken_for_small(void) {
    static const char *const options[] = {"huge=always", "huge=within_size", "huge=advise"};
    static const size_t pieces[] = {4096, PIECE, HUGE};
    if (!may_mount("where_large_folios_are_made_none_is_taken_for_small")) return;
    for (size_t option = 0; option < sizeof options / sizeof *options; option++)
        for (size_t piece = 0; piece < sizeof pieces / sizeof *pieces; piece++) {
            int fd = file_on_mount(options[option]);
            fill(fd, HUGE / 2, pieces[piece]);
            CHECK(!is_small_to_nobody(fd, 0, PIECE));
            unmount(fd);
        }
    int always = file_on_mount("huge=always");
    fill(always, SIZE, PIECE);
    CHECK(!small(always, HUGE, PIECE));
    unmount(always);
}

/* A remount moves nothing: who can see the pages is told of what is left from before. */
static void large_folios_from_before_a_remount_are_seen_by_the_privileged(void) {
    if (!may_mount("large_folios_from_before_a_remount_are_seen_by_the_privileged")) return;
    int fd = file_on_mount("huge=always");
    fill(fd, HUGE, PIECE);
    char path[64], link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    path[MUST(readlink(link, path, sizeof path - 1))] = '\0';
    *strrchr(path, '/') = '\0';
    MUST(mount("none", path, NULL, MS_REMOUNT, "huge=never"));
    CHECK(!small(fd, 0, PIECE));
    CHECK_EQUAL(pr_file_write(fd, "new", 3, HUGE + 5000), 0);
    CHECK(small(fd, HUGE, PIECE));
    unmount(fd);
}

/* Page by page against what holes do: the old bytes survive in a queue exactly where folios are small. */
static void a_hole_takes_small_folios_and_zeroes_in_others(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    for (int large = 0; large < 2; large++) {
        char bytes[PIECE];
        struct region region = {.fd = file_in_shm()};
        fill(region.fd, 2 * HUGE, PIECE);
        if (large) collapse(region.fd, HUGE);
        region = region_open(relay, region.fd);
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(relay, &pair);
        CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, HUGE, PIECE, NULL), 1);
        wait_acknowledged(pair.ours);
        CHECK_EQUAL(small(region.fd, HUGE, PIECE), !large);
        int again = collapse_by_a_reader(region.fd, HUGE); /* not while pages of it are in flight */
        if (!large) CHECK(again < 0);
        CHECK_EQUAL(small(region.fd, HUGE, PIECE), !large);
        MUST(fallocate(region.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HUGE, PIECE));
        CHECK_EQUAL(MUST(recv(pair.peer, bytes, PIECE, MSG_WAITALL)), PIECE);
        for (size_t at = 0; at < PIECE; at++) CHECK_EQUAL(bytes[at], large ? 0 : 'o');
        node_close(relay, connection, &pair);
        pair_close(&pair);
        region_close(relay, &region);
    }
    pr_relay_destroy(relay);
}

/* A call that fails says nothing: then they are not known to be small. */
static void a_failing_call_makes_nothing_known(void) {
    static const enum pr_call calls[] = {PR_CALL_MMAP, PR_CALL_OPEN};
    int fd = file_in_shm();
    fill(fd, HUGE, PIECE);
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++)
        for (unsigned skip = 0; skip < (calls[index] == PR_CALL_MMAP ? 2 : 1); skip++) {
            pr_fault_set(calls[index], EMFILE, skip, 1);
            CHECK_EQUAL(small(fd, 0, PIECE), 0);
            pr_fault_set(calls[index], 0, 0, 0);
        }
    CHECK_EQUAL(small(fd, 0, PIECE), 1);
    CHECK_EQUAL(small(-1, 0, PIECE), 0);
    close(fd);
}

int main(void) {
    RUN(pages_of_a_usual_tmpfs_are_small);
    RUN(what_a_reader_has_collapsed_is_not);
    RUN(nor_is_a_huge_page_that_the_files_end_lies_in);
    RUN(looking_fills_no_hole);
    RUN(pages_that_are_not_seen_are_not_known_to_be_small);
    RUN(pages_of_a_memfd_are_known_to_who_can_see_them);
    RUN(a_hole_takes_small_folios_and_zeroes_in_others);
    RUN(where_large_folios_are_made_none_is_taken_for_small);
    RUN(large_folios_from_before_a_remount_are_seen_by_the_privileged);
    pr_faults_enable();
    RUN(a_failing_call_makes_nothing_known);
    return 0;
}
