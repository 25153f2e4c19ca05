/* Trees and generations: what can be opened, where from, and what it is. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static struct pr_relay *relay;
static uint64_t tree;

static void make(const char *name, uint64_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = (int)MUST(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    MUST(ftruncate(fd, (off_t)size));
    close(fd);
}

static void begin(const char *where) {
    snprintf(directory, sizeof directory, "%s/pagerelay-XXXXXX", where);
    CHECK(mkdtemp(directory));
    relay = relay_start(options_with(1));
    CHECK_EQUAL(pr_tree_open(relay, directory, &tree), 0);
}

static void end(void) {
    char command[96];
    CHECK_EQUAL(pr_tree_close(relay, tree), 0);
    pr_relay_destroy(relay);
    snprintf(command, sizeof command, "rm -r %s", directory);
    CHECK_EQUAL(system(command), 0);
}

static int open_and_close(const char *path, struct pr_generation_info *info) {
    uint64_t generation;
    int result = pr_generation_open(relay, tree, path, UINT64_MAX, &generation, info);
    if (result == 0) CHECK_EQUAL(pr_generation_close(relay, generation), 0);
    return result;
}

static void a_file_is_described(void) {
    struct pr_generation_info opened, seen;
    struct stat status;
    char path[128];
    begin("/tmp");
    make("plain", 12345);
    make("empty", 0);
    snprintf(path, sizeof path, "%s/plain", directory);
    MUST(stat(path, &status));
    CHECK_EQUAL(open_and_close("plain", &opened), 0);
    CHECK_EQUAL(pr_generation_stat(relay, tree, "plain", &seen), 0);
    CHECK_EQUAL(opened.size, 12345);
    CHECK_EQUAL(opened.backing.size, 12345);
    CHECK_EQUAL(opened.backing.page_size, 4096);
    CHECK_EQUAL(opened.inode, status.st_ino);
    CHECK_EQUAL(opened.device, status.st_dev);
    CHECK_EQUAL(seen.size, 12345);
    CHECK_EQUAL(seen.inode, status.st_ino);
    CHECK_EQUAL(seen.modified_seconds, status.st_mtim.tv_sec);
    CHECK_EQUAL(seen.modified_nanoseconds, status.st_mtim.tv_nsec);
    CHECK_EQUAL(open_and_close("empty", &opened), 0);
    CHECK_EQUAL(opened.size, 0);
    end();
}

static void nothing_leads_out_of_a_tree(void) {
    char path[128];
    struct pr_generation_info info;
    begin("/tmp");
    make("inside", 1);
    static const char *const links[][2] = {{"out", "/etc/passwd"}, {"up", "../../etc/passwd"}, {"self", "inside"}};
    for (int index = 0; index < 3; index++) {
        snprintf(path, sizeof path, "%s/%s", directory, links[index][0]);
        MUST(symlink(links[index][1], path));
    }
    CHECK_EQUAL(open_and_close("self", &info), 0);
    CHECK_EQUAL(open_and_close("out", &info), -EXDEV);
    CHECK_EQUAL(open_and_close("up", &info), -EXDEV);
    CHECK_EQUAL(open_and_close("../etc/passwd", &info), -EXDEV);
    CHECK_EQUAL(open_and_close("/etc/passwd", &info), -EXDEV);
    CHECK_EQUAL(open_and_close("absent", &info), -ENOENT);
    CHECK_EQUAL(pr_generation_stat(relay, tree, "out", &info), -EXDEV);
    CHECK_EQUAL(pr_generation_stat(relay, tree + 1, "inside", &info), -EBADF);
    end();
}

/* A FIFO without a writer would make open() wait. */
static void what_has_no_pages_is_refused(void) {
    char path[128];
    struct pr_generation_info info;
    uint64_t generation;
    begin("/tmp");
    snprintf(path, sizeof path, "%s/fifo", directory);
    MUST(mkfifo(path, 0600));
    CHECK_EQUAL(open_and_close("fifo", &info), -EINVAL);
    CHECK_EQUAL(open_and_close(".", &info), -EINVAL);
    CHECK_EQUAL(pr_generation_open(relay, 0, "/dev/null", UINT64_MAX, &generation, &info), -EINVAL);
    CHECK_EQUAL(pr_generation_open(relay, 0, "/tmp", UINT64_MAX, &generation, &info), -EINVAL);
    end();
}

static void backings_are_told_apart(void) {
    struct pr_generation_info info;
    begin("/dev/shm");
    make("file", 4096);
    CHECK_EQUAL(open_and_close("file", &info), 0);
    CHECK_EQUAL(info.backing.backing, PR_BACKING_TMPFS);
    struct region region = region_create(relay, 4096);
    pr_backing_of(region.fd, &info.backing);
    CHECK_EQUAL(info.backing.backing, PR_BACKING_MEMFD);
    region_close(relay, &region);
    end();
}

static void many_come_and_go(void) {
    begin("/tmp");
    make("file", 4096);
    struct pr_generation_info info;
    for (int round = 0; round < 500; round++) CHECK_EQUAL(open_and_close("file", &info), 0);
    end();
}

int main(void) {
    RUN(a_file_is_described);
    RUN(nothing_leads_out_of_a_tree);
    RUN(what_has_no_pages_is_refused);
    RUN(backings_are_told_apart);
    RUN(many_come_and_go);
    return 0;
}
