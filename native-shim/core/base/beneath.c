#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many links as the kernel follows; and an end for those who make the way ever longer. */
enum { MOST_LINKS = 40, MOST_STEPS = 4096 };

/* What a step gives, beside a descriptor and -1: the way goes on. */
enum { AGAIN = -2 };

/* A path beneath the folder. What is before `at` was gone over: names alone, none of them a link. */
struct walk {
    char path[PATH_MAX];
    size_t at;
    int folder; /* where the walk begins */
    int here;   /* where `at` is: the folder itself, or a descriptor of the walk's own */
};

static void stand_at(struct walk *walk, int fd) {
    if (walk->here != walk->folder) close(walk->here);
    walk->here = fd;
}

static int fail(int error) {
    errno = error;
    return -1;
}

/* Puts `text` in the place of what is from `from` to `to`. */
static int put_text(struct walk *walk, size_t from, size_t to, const char *text, size_t length) {
    size_t rest = strlen(walk->path + to);
    if (from + length + rest >= sizeof walk->path) return fail(ENAMETOOLONG);
    memmove(walk->path + from + length, walk->path + to, rest + 1);
    memcpy(walk->path + from, text, length);
    return 0;
}

/* Takes a name and ".." behind it, up to `end`, out of the way, and begins again: -1 where there is no such name. */
static int go_back(struct walk *walk, size_t end) {
    size_t from = walk->at;
    struct stat status;
    if (fstat(walk->here, &status) < 0) return -1;
    if (!S_ISDIR(status.st_mode)) return fail(ENOTDIR);
    while (from > 0 && walk->path[from - 1] == '/') from--;
    if (from == 0) return fail(EXDEV);
    while (from > 0 && walk->path[from - 1] != '/') from--;
    put_text(walk, from, end, "", 0);
    walk->at = 0;
    stand_at(walk, walk->folder);
    return 0;
}

/* The link that is open at `fd` is put in the place of its name. */
static int follow(struct walk *walk, int fd, size_t end) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(fd, "", target, sizeof target);
    if (length < 0) return -1;
    if (length == sizeof target) return fail(ENAMETOOLONG);
    if (length == 0) return fail(ENOENT);
    return target[0] == '/' ? fail(EXDEV) : put_text(walk, walk->at, end, target, (size_t)length);
}

static bool is_dots(const char *name, size_t length, size_t dots) {
    return length == dots && strncmp(name, "..", dots) == 0;
}

/* The next name alone, in `name`: its end in the way. */
static size_t next_name(struct walk *walk, char *name) {
    walk->at += strspn(walk->path + walk->at, "/");
    size_t length = strcspn(walk->path + walk->at, "/");
    memcpy(name, walk->path + walk->at, length);
    name[length] = '\0';
    return walk->at + length;
}

/*
 * Opens the last name, which was no link when it was looked at. Who has put a link in its place since is noticed
 * (ELOOP), and its link is followed as any other.
 */
static int open_last(const struct walk *walk, const char *name, int flags) {
    int fd = openat(walk->here, name, flags | O_NOFOLLOW);
    return fd < 0 && errno == ELOOP && !(flags & O_NOFOLLOW) ? AGAIN : fd;
}

/* What was opened to be looked at is what O_PATH asks for: opening it again could find a link in its place. */
static int as_asked(int fd, const struct stat *status, int flags) {
    if (!(flags & O_DIRECTORY) || S_ISDIR(status->st_mode)) return fd;
    close(fd);
    return fail(ENOTDIR);
}

/* One name further: a descriptor of the last one, -1 and errno, or AGAIN. */
static int walk_on(struct walk *walk, int flags, int *links) {
    char name[PATH_MAX];
    struct stat status;
    size_t end = next_name(walk, name), length = end - walk->at;
    if (length == 0) return openat(walk->here, ".", flags);
    if (is_dots(name, length, 2)) return go_back(walk, end) < 0 ? -1 : AGAIN;
    bool last = walk->path[end + strspn(walk->path + end, "/")] == '\0';
    if (is_dots(name, length, 1)) return put_text(walk, walk->at, end, "", 0) < 0 ? -1 : AGAIN;
    if (last && walk->path[end] == '\0' && (flags & O_NOFOLLOW)) return open_last(walk, name, flags);
    int fd = openat(walk->here, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = fstat(fd, &status), error = errno;
    if (result == 0 && S_ISLNK(status.st_mode)) {
        result = ++*links > MOST_LINKS ? fail(ELOOP) : follow(walk, fd, end);
        error = errno;
    } else if (result == 0 && last && walk->path[end] == '\0') {
        if (flags & O_PATH) return as_asked(fd, &status, flags);
        close(fd);
        return open_last(walk, name, flags);
    } else if (result == 0) { /* a folder, or the next openat says ENOTDIR */
        stand_at(walk, fd);
        walk->at = end;
        return AGAIN;
    }
    close(fd);
    errno = error;
    return result < 0 ? -1 : AGAIN;
}

int pr_open_beneath(int folder, const char *path, int flags) {
    struct walk walk = {.folder = folder, .here = folder};
    int links = 0, fd = AGAIN;
    if (path[0] == '/') return fail(EXDEV);
    if (path[0] == '\0') return fail(ENOENT);
    if (put_text(&walk, 0, 0, path, strlen(path)) < 0) return -1;
    for (int steps = 0; fd == AGAIN; steps++) fd = steps < MOST_STEPS ? walk_on(&walk, flags, &links) : fail(ELOOP);
    int error = errno;
    stand_at(&walk, folder);
    errno = error;
    return fd;
}
