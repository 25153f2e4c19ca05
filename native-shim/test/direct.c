/* To which files, and which of their pages, direct writes are what they are called. */
#include "test.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "pages/direct.h"

enum { PAGE = 4096, SIZE = 20 * PAGE + 100 };

static bool direct_is_here;

static int file_with_data(void) {
    int fd = file_on_disk();
    file_fill(fd, SIZE, 0);
    return fd;
}

static void whole_pages_fit(void) {
    int fd = file_with_data();
    CHECK_EQUAL(pr_direct_fits(fd, 0, 1), 1);
    CHECK_EQUAL(pr_direct_fits(fd, 0, 20 * PAGE), 1);
    CHECK_EQUAL(pr_direct_fits(fd, PAGE - 1, 2), 1);
    CHECK_EQUAL(pr_direct_fits(fd, 20 * PAGE - 1, 1), 1);
    close(fd);
}

static void a_part_of_the_last_page_does_not(void) {
    int fd = file_with_data();
    CHECK_EQUAL(pr_direct_fits(fd, 20 * PAGE, 1), 0);
    CHECK_EQUAL(pr_direct_fits(fd, 20 * PAGE - 1, 2), 0);
    CHECK_EQUAL(pr_direct_fits(fd, 0, SIZE), 0);
    close(fd);
}

static void nothing_on_tmpfs_does(void) {
    int fd = file_on_tmpfs();
    file_fill(fd, SIZE, 0);
    CHECK_EQUAL(pr_direct_alignment(fd), -EOPNOTSUPP);
    CHECK_EQUAL(pr_direct_fits(fd, 0, PAGE), 0);
    close(fd);
}

/* What a file system says of this file; the rest of it is as it is. */
static uint32_t said[2];

static int tell_alignments(int fd, const char *path, int flags, unsigned mask, struct statx *status) {
    int result = pr_sys_real.statx(fd, path, flags, mask, status);
    memcpy((char *)status + 152, said, sizeof said);
    return result;
}

/* ext4 with data=journal, inline data or encryption says 0. */
static void a_file_of_which_it_is_not_promised_does_not(void) {
    static const uint32_t all[][2] = {{0, 0}, {512, 8192}, {8192, 512}, {3, 512}};
    struct pr_sys sys = pr_sys;
    int fd = file_with_data();
    pr_sys.statx = tell_alignments;
    memcpy(said, (uint32_t[]){4, 4096}, sizeof said);
    CHECK_EQUAL(pr_direct_fits(fd, 0, PAGE), 1);
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        memcpy(said, all[index], sizeof said);
        CHECK_EQUAL(pr_direct_fits(fd, 0, PAGE), 0);
    }
    pr_sys = sys;
    close(fd);
}

static int tell_large_blocks(int fd, struct statfs *filesystem) {
    int result = pr_sys_real.fstatfs(fd, filesystem);
    filesystem->f_bsize = 16 << 10;
    return result;
}

static int tell_btrfs(int fd, struct statfs *filesystem) {
    int result = pr_sys_real.fstatfs(fd, filesystem);
    filesystem->f_type = BTRFS_SUPER_MAGIC;
    return result;
}

static void blocks_larger_than_a_page_and_other_file_systems_do_not(void) {
    struct pr_sys sys = pr_sys;
    int fd = file_with_data();
    pr_sys.fstatfs = tell_large_blocks;
    CHECK_EQUAL(pr_direct_fits(fd, 0, 4 * PAGE), 0);
    pr_sys.fstatfs = tell_btrfs;
    CHECK_EQUAL(pr_direct_fits(fd, 0, PAGE), 0);
    pr_sys = sys;
    close(fd);
}

static void where_nobody_can_tell_nothing_does(void) {
    static const enum pr_call calls[] = {PR_CALL_FSTATFS, PR_CALL_STATX, PR_CALL_FSTAT};
    int fd = file_with_data();
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
        pr_fault_set(calls[index], EIO, 0, 1);
        CHECK_EQUAL(pr_direct_fits(fd, 0, PAGE), 0);
        pr_fault_set(calls[index], 0, 0, 0);
        CHECK_EQUAL(pr_direct_fits(fd, 0, PAGE), 1);
    }
    close(fd);
}

int main(void) {
    pr_faults_enable();
    int disk = file_on_disk();
    direct_is_here = pr_direct_alignment(disk) == 0;
    close(disk);
    RUN(nothing_on_tmpfs_does);
    if (!direct_is_here) {
        printf("  SKIPPED: the others, for /tmp promises no direct writes\n");
        return 0;
    }
    RUN(whole_pages_fit);
    RUN(a_part_of_the_last_page_does_not);
    RUN(a_file_of_which_it_is_not_promised_does_not);
    RUN(blocks_larger_than_a_page_and_other_file_systems_do_not);
    RUN(where_nobody_can_tell_nothing_does);
    return 0;
}
