/* Trees: folders that regions are found in, and that no path leads out of. */
#ifndef PR_TREE_H
#define PR_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/shared.h"

struct pr_tree {
    uint64_t id;
    bool closed;
    int fd; /* O_PATH */
    int lock_fd;
    char *path; /* absolute, as it was given; NULL where that was relative */
    struct pr_tree_pins {
        unsigned count; /* of threads that use it without a lock; it lives as long */
        char apart[PR_CACHE_LINE];
    } pins[]; /* by each part of the relay */
};

int pr_tree_open(struct pr_relay *relay, const char *path, uint64_t *tree);
int pr_tree_close(struct pr_relay *relay, uint64_t tree);

/* The tree's own descriptor (O_PATH), open until pr_tree_close or the relay's end; or -EBADF. */
int pr_tree_descriptor(struct pr_relay *relay, uint64_t tree);

/* A folder inside the tree, for calls relative to it: a descriptor (O_PATH) that the caller closes, or -errno. */
int pr_tree_folder(struct pr_relay *relay, uint64_t tree, const char *path);

/* A regular file inside the tree, to be written in place: a descriptor that the caller closes, or -errno. */
int pr_tree_file(struct pr_relay *relay, uint64_t tree, const char *path);

/* Opens what `path` names inside the tree, or with `tree` 0 anywhere: a descriptor that the caller closes, or -errno.
 */
int pr_tree_open_in(struct pr_relay *relay, uint64_t tree, const char *path, int flags);

/* What `path` leads to from the tree, or with `tree` 0 from anywhere, even out of the tree: 0 or -errno. */
int pr_tree_stat(struct pr_part *part, uint64_t tree, const char *path, struct stat *status);

/*
 * Locks one byte of a file inside the tree against other relays, of this process or another (fcntl(2), open file
 * description locks: unlike flock's, a lock that can't be had more strongly stays as it was). Never waits: -EAGAIN.
 */
enum pr_lock_mode { PR_UNLOCKED, PR_SHARED, PR_EXCLUSIVE };
int pr_tree_lock(struct pr_relay *relay, uint64_t tree, const char *path, unsigned byte, enum pr_lock_mode mode);

#endif
