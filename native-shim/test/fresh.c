/*
 * The witness of means that leave pages in flight as they are: what it says of the file systems whose answer is known,
 * and that it leaves nothing.
 */
#include "test.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "wire/witness.h"

static char folder[64];

static void make_folder(const char *where) {
    snprintf(folder, sizeof folder, "%s/pagerelay-fresh-XXXXXX", where);
    CHECK(mkdtemp(folder));
}

static int witness(enum pr_means means) {
    char path[96];
    snprintf(path, sizeof path, "%s/region", folder);
    return pr_witness_means(path, means);
}

/* Nothing is in it any more. */
static void remove_folder(void) {
    MUST(rmdir(folder));
}

static bool is_on(const char *path, long type) {
    struct statfs status;
    MUST(statfs(path, &status));
    return status.f_type == type;
}

static void pages_of_tmpfs_can_be_punched_out(void) {
    make_folder("/dev/shm");
    CHECK(is_on(folder, TMPFS_MAGIC));
    CHECK_EQUAL(witness(PR_MEANS_PUNCH), 1);
    remove_folder();
}

/* Whether the page cache of ext4 has folios larger than a page: since Linux 6.16. */
static bool ext4_has_large_folios(void) {
    struct utsname kernel;
    unsigned major, minor;
    MUST(uname(&kernel));
    CHECK_EQUAL(sscanf(kernel.release, "%u.%u", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 16);
}

/* A large folio that is being sent is zeroed where it is punched. */
static void those_of_ext4_can_not(void) {
    make_folder("/tmp");
    int result = witness(PR_MEANS_PUNCH);
    if (is_on(folder, EXT4_SUPER_MAGIC) && ext4_has_large_folios())
        CHECK(result < 1);
    else
        printf("  SKIPPED: those_of_ext4_can_not, /tmp is no ext4 with large folios: %d\n", result);
    remove_folder();
}

static void ext4_and_xfs_write_past_them(void) {
    make_folder("/tmp");
    int result = witness(PR_MEANS_DIRECT);
    if (is_on(folder, EXT4_SUPER_MAGIC) || is_on(folder, XFS_SUPER_MAGIC))
        CHECK_EQUAL(result, 1);
    else
        printf("  SKIPPED: ext4_and_xfs_write_past_them, /tmp is neither: %d\n", result);
    remove_folder();
}

static void tmpfs_does_not(void) {
    make_folder("/dev/shm");
    CHECK_EQUAL(witness(PR_MEANS_DIRECT), 0);
    remove_folder();
}

static int open_buffered(int directory, const char *path, bool beneath, int flags) {
    return pr_sys_real.open(directory, path, beneath, flags & ~O_DIRECT);
}

/* Whatever it promises: as ext4 and xfs do where they can't drop a page. */
static void a_file_system_that_writes_to_the_pages_is_found_out(void) {
    struct pr_sys sys = pr_sys;
    make_folder("/tmp");
    pr_sys.open = open_buffered;
    CHECK_EQUAL(witness(PR_MEANS_DIRECT), 0);
    pr_sys = sys;
    remove_folder();
}

static void it_says_the_same_again(void) {
    make_folder("/dev/shm");
    for (int round = 0; round < 5; round++) CHECK_EQUAL(witness(PR_MEANS_PUNCH), 1);
    remove_folder();
}

static void a_file_that_is_there_already_is_left_alone(void) {
    char path[96];
    make_folder("/dev/shm");
    snprintf(path, sizeof path, "%s/region", folder);
    int fd = (int)MUST(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    CHECK_EQUAL(MUST(write(fd, "mine", 4)), 4);
    close(fd);
    CHECK_EQUAL(witness(PR_MEANS_PUNCH), -EEXIST);
    struct stat status;
    MUST(stat(path, &status));
    CHECK_EQUAL(status.st_size, 4);
    MUST(unlink(path));
    remove_folder();
}

static void where_no_file_can_be_made_there_is_no_witness(void) {
    CHECK_EQUAL(pr_witness_means("/dev/shm/pagerelay-none/scratch", PR_MEANS_PUNCH), -ENOENT);
    CHECK(pr_witness_means("/proc/scratch", PR_MEANS_PUNCH) < 0);
}

/* A call that fails ends the experiment, with its own error: never with a verdict. */
static void a_failing_call_is_no_verdict(void) {
    static const struct {
        enum pr_call call;
        int error;
        unsigned skip;
    } faults[] = {
        {PR_CALL_PWRITE, ENOSPC, 0},        {PR_CALL_PWRITE, ENOSPC, 64},  {PR_CALL_PWRITE, EIO, 65},
        {PR_CALL_SENDFILE, EINVAL, 0},      {PR_CALL_SPLICE, EINVAL, 0},   {PR_CALL_SPLICE, EAGAIN, 1},
        {PR_CALL_FALLOCATE, EOPNOTSUPP, 0}, {PR_CALL_FALLOCATE, EPERM, 1}, {PR_CALL_PIPE, EMFILE, 0},
    };
    make_folder("/dev/shm");
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) {
        pr_fault_set(faults[index].call, faults[index].error, faults[index].skip, 1);
        CHECK_EQUAL(witness(PR_MEANS_PUNCH), -faults[index].error);
        pr_fault_set(faults[index].call, 0, 0, 0);
    }
    CHECK_EQUAL(witness(PR_MEANS_PUNCH), 1);
    remove_folder();
}

int main(void) {
    pr_faults_enable();
    RUN(pages_of_tmpfs_can_be_punched_out);
    RUN(those_of_ext4_can_not);
    RUN(ext4_and_xfs_write_past_them);
    RUN(tmpfs_does_not);
    RUN(a_file_system_that_writes_to_the_pages_is_found_out);
    RUN(it_says_the_same_again);
    RUN(a_file_that_is_there_already_is_left_alone);
    RUN(where_no_file_can_be_made_there_is_no_witness);
    RUN(a_failing_call_is_no_verdict);
    return 0;
}
