/* The witness of fresh pages: what it says of the file systems whose answer is known, and that it leaves nothing. */
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

static int witness(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/region", folder);
    return pr_witness_fresh_pages(path);
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

static void tmpfs_gives_fresh_pages(void) {
    make_folder("/dev/shm");
    CHECK(is_on(folder, TMPFS_MAGIC));
    CHECK_EQUAL(witness(), 1);
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
static void the_page_cache_of_ext4_does_not(void) {
    make_folder("/tmp");
    int result = witness();
    if (is_on(folder, EXT4_SUPER_MAGIC) && ext4_has_large_folios())
        CHECK(result < 1);
    else
        printf("  SKIPPED: the_page_cache_of_ext4_does_not, /tmp is no ext4 with large folios: %d\n", result);
    remove_folder();
}

static void it_says_the_same_again(void) {
    make_folder("/dev/shm");
    for (int round = 0; round < 5; round++) CHECK_EQUAL(witness(), 1);
    remove_folder();
}

static void a_file_that_is_there_already_is_left_alone(void) {
    char path[96];
    make_folder("/dev/shm");
    snprintf(path, sizeof path, "%s/region", folder);
    int fd = (int)MUST(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    CHECK_EQUAL(MUST(write(fd, "mine", 4)), 4);
    close(fd);
    CHECK_EQUAL(witness(), -EEXIST);
    struct stat status;
    MUST(stat(path, &status));
    CHECK_EQUAL(status.st_size, 4);
    MUST(unlink(path));
    remove_folder();
}

static void where_no_file_can_be_made_there_is_no_witness(void) {
    CHECK_EQUAL(pr_witness_fresh_pages("/dev/shm/pagerelay-none/scratch"), -ENOENT);
    CHECK(pr_witness_fresh_pages("/proc/scratch") < 0);
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
        CHECK_EQUAL(witness(), -faults[index].error);
        pr_fault_set(faults[index].call, 0, 0, 0);
    }
    CHECK_EQUAL(witness(), 1);
    remove_folder();
}

int main(void) {
    pr_faults_enable();
    RUN(tmpfs_gives_fresh_pages);
    RUN(the_page_cache_of_ext4_does_not);
    RUN(it_says_the_same_again);
    RUN(a_file_that_is_there_already_is_left_alone);
    RUN(where_no_file_can_be_made_there_is_no_witness);
    RUN(a_failing_call_is_no_verdict);
    return 0;
}
