#include "pages/links.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/file.h"

/* As many as the kernel follows. */
enum { MOST_LINKS = 40 };

/* A path beneath the tree. What is before `at` is no link. */
struct way {
    char path[PATH_MAX];
    size_t at;
};

/* The target of the link that is called `path`: its length, 0 where that is no link, or -errno. */
static int read_link(int tree, const char *path, char target[PATH_MAX]) {
    struct stat status;
    int fd = pr_file_open(tree, path, true, O_PATH | O_NOFOLLOW);
    if (fd < 0) return fd;
    ssize_t length = pr_sys.fstat(fd, &status);
    if (length == 0 && S_ISLNK(status.st_mode)) length = pr_sys.readlinkat(fd, "", target, PATH_MAX);
    int error = errno;
    close(fd);
    if (length < 0) return -error;
    if (length == PATH_MAX) return -ENAMETOOLONG;
    target[length] = '\0';
    return (int)length;
}

/* What is left of an absolute path behind a folder's; NULL where it does not begin with that. */
static const char *behind(const char *folder, const char *path) {
    for (;;) {
        folder += strspn(folder, "/");
        path += strspn(path, "/");
        size_t length = strcspn(folder, "/");
        if (length == 0) return path;
        if (strncmp(folder, path, length) != 0 || (path[length] != '/' && path[length] != '\0')) return NULL;
        folder += length;
        path += length;
    }
}

static const char *inside(int tree, const char *given, const char *target) {
    char link[32], own[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", tree);
    ssize_t length = pr_sys.readlinkat(AT_FDCWD, link, own, sizeof own - 1);
    const char *rest = NULL;
    if (length > 0 && own[0] == '/') {
        own[length] = '\0';
        rest = behind(own, target);
    }
    return rest || !given ? rest : behind(given, target);
}

/* Puts `target` in the place of what is from `from` to `end`. */
static int put_target(struct way *way, size_t from, size_t end, const char *target) {
    size_t length = strlen(target), rest = strlen(way->path + end);
    if (from + length + rest >= sizeof way->path) return -ENAMETOOLONG;
    memmove(way->path + from + length, way->path + end, rest + 1);
    memcpy(way->path + from, target, length);
    /* A link to the tree itself leaves the slash behind its name. */
    size_t slashes = strspn(way->path, "/");
    memmove(way->path, way->path + slashes, strlen(way->path + slashes) + 1);
    way->at = from;
    return 0;
}

/* Goes over the next name of the way, or puts what it links to in its place: 1 then, else 0 or -errno. */
static int follow_name(int tree, const char *given, struct way *way) {
    char target[PATH_MAX];
    size_t end = way->at + strcspn(way->path + way->at, "/");
    char behind_name = way->path[end];
    way->path[end] = '\0';
    int length = read_link(tree, way->path, target);
    way->path[end] = behind_name;
    if (length < 0) return length;
    if (length == 0) {
        way->at = end;
        return 0;
    }
    const char *rest = target[0] == '/' ? inside(tree, given, target) : target;
    if (!rest) return -EXDEV;
    int result = put_target(way, target[0] == '/' ? 0 : way->at, end, rest);
    return result < 0 ? result : 1;
}

static bool is_last(const struct way *way) {
    const char *next = strchr(way->path + way->at, '/');
    return !next || next[strspn(next, "/")] == '\0';
}

int pr_links_open(int tree, const char *given, const char *path, int flags) {
    struct way way = {.at = 0};
    if (path[0] == '/') return -EXDEV;
    int result = put_target(&way, 0, 0, path);
    for (int links = 0; result >= 0;) {
        way.at += strspn(way.path + way.at, "/");
        if (way.path[way.at] == '\0' || (is_last(&way) && (flags & O_NOFOLLOW))) break;
        result = follow_name(tree, given, &way);
        if (result == 1 && ++links > MOST_LINKS) result = -ELOOP;
    }
    if (result < 0) return result;
    return pr_file_open(tree, way.path[0] ? way.path : ".", true, flags);
}
