/* Opening beneath a folder without openat2: in all of these it leads where openat2 leads, and nowhere else. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/beneath.h"

static char folder[64];
static int tree;

static void at(char *path, const char *name) {
    snprintf(path, 256, "%s/%s", folder, name);
}

static void make_tree(void) {
    static const char *const folders[] = {"a", "a/b", "a/b/c"};
    static const char *const files[] = {"file", "a/file", "a/b/c/file"};
    static const char *const links[][2] = {
        {"link", "file"},
        {"folder", "a/b"},
        {"up", "../etc/passwd"},
        {"out", "/etc/passwd"},
        {"a/b/back", "../file"},
        {"a/b/far", "../../file"},
        {"a/b/gone", "../../../etc"},
        {"loop", "loop"},
        {"ping", "pong"},
        {"pong", "ping"},
        {"dangling", "none"},
        {"dots", "./a/./b/../b/c/"},
        {"a/b/c/chain", "../../../folder/c/file"},
        {"slash", "a/"},
        {"self", "."},
        {"empty-way", "folder/../../file"},
        {"proc", "/proc/self/root"},
    };
    char path[256];
    strcpy(folder, "/tmp/pagerelay-beneath-XXXXXX");
    CHECK(mkdtemp(folder));
    for (size_t index = 0; index < sizeof folders / sizeof *folders; index++) {
        at(path, folders[index]);
        MUST(mkdir(path, 0700));
    }
    for (size_t index = 0; index < sizeof files / sizeof *files; index++) {
        at(path, files[index]);
        close((int)MUST(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
    }
    for (size_t index = 0; index < sizeof links / sizeof *links; index++) {
        at(path, links[index][0]);
        MUST(symlink(links[index][1], path));
    }
    tree = (int)MUST(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void remove_tree(void) {
    char command[128];
    close(tree);
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_EQUAL(system(command), 0);
}

static int by_openat2(const char *path, int flags) {
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, tree, path, &how, sizeof how);
}

/* The inode, or -errno. */
static long long opened(int fd) {
    struct stat status;
    if (fd < 0) return -errno;
    MUST(fstat(fd, &status));
    close(fd);
    return (long long)status.st_ino;
}

static void expect_same(const char *path, int flags) {
    long long expected = opened(by_openat2(path, flags | O_CLOEXEC));
    long long actual = opened(pr_open_beneath(tree, path, flags | O_CLOEXEC));
    if (actual != expected) FAIL("%s, flags %o: %lld, not %lld", path, (unsigned)flags, actual, expected);
}

static const char *const parts[] = {
    "file", "a",        "b",    "c",     "link",  "folder", "up",        "out",  "back", "far", "gone", "loop",
    "ping", "dangling", "dots", "chain", "slash", "self",   "empty-way", "proc", "..",   ".",   "",     "none",
};
enum { PARTS = sizeof parts / sizeof *parts };

static void it_leads_where_openat2_leads(void) {
    static const int flags[] = {O_RDONLY, O_PATH, O_RDONLY | O_NOFOLLOW, O_PATH | O_DIRECTORY, O_RDWR};
    uint64_t random = test_seed();
    make_tree();
    for (size_t kind = 0; kind < sizeof flags / sizeof *flags; kind++) {
        for (size_t index = 0; index < PARTS; index++) expect_same(parts[index], flags[kind]);
        for (int round = 0; round < 3000; round++) {
            char path[256] = "";
            uint64_t names = 1 + test_below(&random, 6);
            for (uint64_t name = 0; name < names; name++) {
                if (name > 0) strcat(path, "/");
                strcat(path, parts[test_below(&random, PARTS)]);
            }
            expect_same(path, flags[kind]);
        }
    }
    remove_tree();
}

static void what_is_too_long_ends(void) {
    static char path[5000];
    make_tree();
    memset(path, 'x', sizeof path - 1);
    CHECK_EQUAL(opened(pr_open_beneath(tree, path, O_PATH)), -ENAMETOOLONG);
    path[0] = '\0';
    for (int name = 0; name < 1300; name++) strcat(path, "a/.");
    CHECK(opened(pr_open_beneath(tree, path, O_PATH)) < 0);
    remove_tree();
}

/* Exchanges what two names lead to, over and over. */
static atomic_bool over;

static void *exchange(void *argument) {
    (void)argument;
    while (!over) renameat2(tree, "file", tree, "link-to-other", RENAME_EXCHANGE);
    return NULL;
}

/* Whatever is there at the moment, it leads to a file inside: nobody is told of a link that is none. */
static void names_that_are_exchanged_meanwhile_are_followed(void) {
    static const int flags[] = {O_RDONLY | O_CLOEXEC, O_PATH | O_CLOEXEC};
    char path[256];
    pthread_t thread;
    make_tree();
    at(path, "link-to-other");
    MUST(symlink("a/file", path));
    long long first = opened(by_openat2("file", O_PATH)), second = opened(by_openat2("a/file", O_PATH));
    CHECK_EQUAL(pthread_create(&thread, NULL, exchange, NULL), 0);
    for (int round = 0; round < 20000; round++) {
        long long inode = opened(pr_open_beneath(tree, "file", flags[round % 2]));
        if (inode != first && inode != second) FAIL("neither file: %lld", inode);
    }
    over = true;
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    remove_tree();
}

int main(void) {
    RUN(it_leads_where_openat2_leads);
    RUN(what_is_too_long_ends);
    RUN(names_that_are_exchanged_meanwhile_are_followed);
    return 0;
}
