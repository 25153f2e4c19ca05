/* Trees and generations: what can be opened, where from, and what it is. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/current.h"
#include "pages/mapping.h"

static char directory[64];
static struct pr_relay *relay;
static uint64_t tree;

/* Good until the next call. */
static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void make(const char *name, uint64_t size) {
    int fd = (int)MUST(open(path_of(name), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
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
    CHECK_EQUAL(seen.changed_seconds, status.st_ctim.tv_sec);
    CHECK_EQUAL(seen.changed_nanoseconds, status.st_ctim.tv_nsec);
    CHECK_EQUAL(open_and_close("empty", &opened), 0);
    CHECK_EQUAL(opened.size, 0);
    end();
}

static const struct timespec put_back[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

static void put_mtime_back(const char *name) {
    MUST(utimensat(AT_FDCWD, path_of(name), put_back, 0));
}

/* Before Linux 6.13 ctime moves with the clock's tick: what is done is done again until it has moved. */
static void touch_until_ctime_moves(const char *name) {
    struct stat before, now;
    MUST(stat(path_of(name), &before));
    do {
        put_mtime_back(name);
        MUST(stat(path_of(name), &now));
    } while (now.st_ctim.tv_sec == before.st_ctim.tv_sec && now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

static void a_file_whose_mtime_was_put_back_is_another_generation(void) {
    struct pr_generation_info info;
    uint64_t generation;
    begin("/tmp");
    make("file", 4096);
    put_mtime_back("file");
    CHECK_EQUAL(pr_generation_open(relay, tree, "file", UINT64_MAX, &generation, &info), 0);
    CHECK_EQUAL(pr_generation_is_at(relay, generation, tree, "file"), 1);
    touch_until_ctime_moves("file");
    CHECK_EQUAL(pr_generation_is_at(relay, generation, tree, "file"), 0);
    CHECK_EQUAL(pr_generation_close(relay, generation), 0);
    end();
}

static void a_file_of_equal_size_and_mtime_is_another_generation(void) {
    struct pr_generation_info info;
    uint64_t generation;
    char from[128];
    begin("/tmp");
    make("file", 4096);
    make("next", 4096);
    put_mtime_back("file");
    put_mtime_back("next");
    CHECK_EQUAL(pr_generation_open(relay, tree, "file", UINT64_MAX, &generation, &info), 0);
    snprintf(from, sizeof from, "%s", path_of("next"));
    MUST(rename(from, path_of("file")));
    CHECK_EQUAL(pr_generation_is_at(relay, generation, tree, "file"), 0);
    CHECK_EQUAL(pr_generation_close(relay, generation), 0);
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

static void link_to(const char *target, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    MUST(symlink(target, path));
}

/* `format` has one %s, for the tree. */
static void link_into(const char *format, const char *name) {
    char target[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(target, sizeof target, format, directory);
#pragma GCC diagnostic pop
    link_to(target, name);
}

static uint64_t size_at(const char *path) {
    struct pr_generation_info info;
    int result = pr_generation_stat(relay, tree, path, &info);
    if (result < 0) return (uint64_t)-result + 1000000;
    CHECK_EQUAL(open_and_close(path, &info), 0);
    return info.size;
}

static uint64_t fails_with(int error) {
    return (uint64_t)error + 1000000;
}

static void absolute_links_lead_to_what_is_inside(void) {
    char path[128];
    begin("/tmp");
    snprintf(path, sizeof path, "%s/folder", directory);
    MUST(mkdir(path, 0700));
    make("plain", 11);
    make("folder/below", 22);
    link_into("%s/plain", "to-file");
    link_into("%s/folder", "to-folder");
    link_into("%s", "to-tree");
    link_into("//%s//folder//../plain", "crooked");
    link_into("%s/to-folder/", "to-link");
    link_to("to-link/below", "relative-to-absolute");
    link_to("../to-file", "folder/up-to-absolute");
    CHECK_EQUAL(size_at("to-file"), 11);
    CHECK_EQUAL(size_at("to-folder/below"), 22);
    CHECK_EQUAL(size_at("to-tree/to-tree/folder/below"), 22);
    CHECK_EQUAL(size_at("crooked"), 11);
    CHECK_EQUAL(size_at("to-link/below"), 22);
    CHECK_EQUAL(size_at("relative-to-absolute"), 22);
    CHECK_EQUAL(size_at("to-folder/up-to-absolute"), 11);
    CHECK_EQUAL(size_at("to-tree"), fails_with(EINVAL));
    CHECK_EQUAL(size_at("to-folder/none"), fails_with(ENOENT));
    CHECK_EQUAL(size_at("to-file/below"), fails_with(ENOTDIR));
    end();
}

static void absolute_links_lead_to_nothing_outside(void) {
    begin("/tmp");
    make("plain", 11);
    link_into("%s-beside", "beside");
    link_into("%s/..", "parent");
    link_into("%s/../../etc/passwd", "out-again");
    link_into("%s/loop", "loop");
    link_to("/", "root");
    link_to("/proc/self/root/etc/passwd", "magic");
    link_to("/tmp", "above");
    CHECK_EQUAL(size_at("beside"), fails_with(EXDEV));
    CHECK_EQUAL(size_at("parent"), fails_with(EXDEV));
    CHECK_EQUAL(size_at("parent/etc/passwd"), fails_with(EXDEV));
    CHECK_EQUAL(size_at("out-again"), fails_with(EXDEV));
    CHECK_EQUAL(size_at("loop"), fails_with(ELOOP));
    CHECK_EQUAL(size_at("root/etc/passwd"), fails_with(EXDEV));
    CHECK_EQUAL(size_at("magic"), fails_with(EXDEV));
    CHECK_EQUAL(size_at("above/plain"), fails_with(EXDEV));
    end();
}

/* Who serves a tree by a name that is itself a link writes its links by that name too. */
static void absolute_links_go_by_the_name_that_the_tree_was_opened_by(void) {
    char alias[80], target[128];
    begin("/tmp");
    make("plain", 11);
    snprintf(alias, sizeof alias, "%s-alias", directory);
    MUST(symlink(directory, alias));
    snprintf(target, sizeof target, "%s/plain", alias);
    link_to(target, "by-alias");
    CHECK_EQUAL(size_at("by-alias"), fails_with(EXDEV));
    uint64_t before = tree;
    CHECK_EQUAL(pr_tree_open(relay, alias, &tree), 0);
    CHECK_EQUAL(size_at("by-alias"), 11);
    CHECK_EQUAL(pr_tree_close(relay, tree), 0);
    tree = before;
    MUST(unlink(alias));
    end();
}

/* What is written to by itself is no link, and the folders before it may be. */
static void a_file_to_be_written_is_no_link(void) {
    char path[128];
    begin("/tmp");
    snprintf(path, sizeof path, "%s/folder", directory);
    MUST(mkdir(path, 0700));
    make("folder/below", 22);
    link_into("%s/folder", "to-folder");
    link_into("%s/folder/below", "to-file");
    link_to("folder/below", "relative");
    int fd = pr_tree_file(relay, tree, "to-folder/below");
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQUAL(pr_tree_file(relay, tree, "to-file"), -ELOOP);
    CHECK_EQUAL(pr_tree_file(relay, tree, "relative"), -ELOOP);
    fd = pr_tree_folder(relay, tree, "to-folder");
    CHECK(fd >= 0);
    close(fd);
    end();
}

static const char *const ways[] = {"/etc", "inside"};
static atomic_bool over;

static void *exchange(void *unused) {
    (void)unused;
    char link[128], made[128], target[256];
    snprintf(link, sizeof link, "%s/link", directory);
    snprintf(made, sizeof made, "%s/made", directory);
    for (unsigned round = 0; !atomic_load(&over); round++) {
        snprintf(target, sizeof target, "%s%s%s", round & 1 ? directory : "", round & 1 ? "/" : "", ways[round & 1]);
        MUST(symlink(target, made));
        MUST(rename(made, link));
    }
    return NULL;
}

/* The folder that the link leads to outside has a file of the same name, of another size. */
static void exchanging_links_leads_nobody_out(void) {
    char path[128];
    unsigned inside = 0, refused = 0;
    pthread_t thread;
    begin("/tmp");
    snprintf(path, sizeof path, "%s/inside", directory);
    MUST(mkdir(path, 0700));
    make("inside/passwd", 7);
    link_into("%s/inside", "link");
    atomic_store(&over, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, exchange, NULL), 0);
    for (int round = 0; round < 20000 || inside == 0 || refused == 0; round++) {
        struct pr_generation_info info;
        int result = pr_generation_stat(relay, tree, "link/passwd", &info);
        if (result == 0) CHECK_EQUAL(info.size, 7);
        inside += result == 0;
        refused += result == -EXDEV;
    }
    atomic_store(&over, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
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

static void a_mapping_is_read_without_sigbus(void) {
    relay = relay_start(options_with(1));
    struct region region = region_create(relay, 8192);
    unsigned char bytes[8192], expected[8192];
    content(0, sizeof expected, 0, expected);
    size_t length = sizeof bytes;
    CHECK(pr_generation_at(relay, region.generation, 100, &length) == NULL); /* a memfd is not mapped */
    CHECK_EQUAL(length, 0);
    const char *address = mmap(NULL, sizeof bytes, PROT_READ, MAP_SHARED, region.fd, 0);
    CHECK(address != MAP_FAILED);
    CHECK_EQUAL(pr_copy_mapped(address + 100, bytes, 8092), 8092);
    CHECK(memcmp(bytes, expected + 100, 8092) == 0);
    length = 10;
    CHECK(pr_generation_at(relay, region.generation + 1, 0, &length) == NULL);
    CHECK_EQUAL(length, 0);
    CHECK_EQUAL(pr_copy_mapped(NULL, bytes, 0), 0);
    MUST(ftruncate(region.fd, 0));
    CHECK_EQUAL(pr_copy_mapped(address, bytes, 10), -EFAULT);
    munmap((void *)(uintptr_t)address, sizeof bytes);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(a_file_is_described);
    RUN(a_file_whose_mtime_was_put_back_is_another_generation);
    RUN(a_file_of_equal_size_and_mtime_is_another_generation);
    RUN(nothing_leads_out_of_a_tree);
    RUN(absolute_links_lead_to_what_is_inside);
    RUN(absolute_links_lead_to_nothing_outside);
    RUN(absolute_links_go_by_the_name_that_the_tree_was_opened_by);
    RUN(a_file_to_be_written_is_no_link);
    RUN(exchanging_links_leads_nobody_out);
    RUN(what_has_no_pages_is_refused);
    RUN(backings_are_told_apart);
    RUN(many_come_and_go);
    RUN(a_mapping_is_read_without_sigbus);
    return 0;
}
