#include "pages/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/shared.h"
#include "base/sys.h"
#include "pages/file.h"
#include "pages/links.h"

int pr_tree_open(struct pr_relay *relay, const char *path, uint64_t *id) {
    struct pr_tree *tree = pr_allocate(1, sizeof *tree + relay->part_count * sizeof tree->pins[0]);
    if (!tree) return -ENOMEM;
    int result = -ENOMEM;
    tree->lock_fd = -1;
    if (path[0] == '/') {
        tree->path = pr_allocate(1, strlen(path) + 1);
        if (!tree->path) goto free_tree;
        strcpy(tree->path, path);
    }
    tree->fd = pr_sys.open(AT_FDCWD, path, false, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (tree->fd < 0) {
        result = -errno;
        goto free_tree;
    }
    pr_lock(relay);
    result = pr_slots_add(&relay->slots, PR_KIND_TREE, tree, &tree->id);
    pr_unlock(relay);
    if (result < 0) goto close_tree;
    *id = tree->id;
    return 0;

close_tree:
    close(tree->fd);
free_tree:
    pr_free(tree->path);
    pr_free(tree);
    return result;
}

/* Pinned, so that it can be used without a lock: in the caller's part, for lanes look at trees all the time. */
static struct pr_tree *pin_tree(struct pr_part *part, uint64_t id) {
    pr_lock_part(part);
    struct pr_tree *tree = pr_slots_find(&part->relay->slots, PR_KIND_TREE, id);
    if (tree) tree->pins[part->index].count++;
    pr_unlock_part(part);
    return tree;
}

static void dispose_tree(struct pr_tree *tree) {
    close(tree->fd);
    if (tree->lock_fd >= 0) close(tree->lock_fd);
    pr_free(tree->path);
    pr_free(tree);
}

/* Under all locks. */
static bool is_unused(const struct pr_relay *relay, const struct pr_tree *tree) {
    unsigned pins = 0;
    for (unsigned part = 0; part < relay->part_count; part++) pins += tree->pins[part].count;
    return pins == 0;
}

/* One that is closed is disposed of by whoever ends the last use. */
static void unpin_tree(struct pr_part *part, struct pr_tree *tree) {
    pr_lock_part(part);
    bool closed = tree->closed;
    if (!closed) tree->pins[part->index].count--;
    pr_unlock_part(part);
    if (!closed) return;
    pr_lock(part->relay);
    tree->pins[part->index].count--;
    bool unused = is_unused(part->relay, tree);
    pr_unlock(part->relay);
    if (unused) dispose_tree(tree);
}

int pr_tree_descriptor(struct pr_relay *relay, uint64_t id) {
    pr_lock_part(pr_node_part(relay));
    const struct pr_tree *tree = pr_slots_find(&relay->slots, PR_KIND_TREE, id);
    int fd = tree ? tree->fd : -EBADF;
    pr_unlock_part(pr_node_part(relay));
    return fd;
}

int pr_tree_close(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_tree *tree = pr_slots_find(&relay->slots, PR_KIND_TREE, id);
    if (tree) pr_slots_remove(&relay->slots, id);
    if (tree) tree->closed = true;
    bool unused = tree && is_unused(relay, tree);
    pr_unlock(relay);
    if (unused) dispose_tree(tree);
    return tree ? 0 : -EBADF;
}

/* Inside a tree the kernel itself refuses every path that leads out (RESOLVE_BENEATH), and every absolute link, which
 * may lead back in: EXDEV. */
int pr_tree_open_in(struct pr_relay *relay, uint64_t tree_id, const char *path, int flags) {
    struct pr_tree *tree = tree_id ? pin_tree(pr_node_part(relay), tree_id) : NULL;
    if (tree_id && !tree) return -EBADF;
    int fd = pr_file_open(tree ? tree->fd : AT_FDCWD, path, tree != NULL, flags);
    if (fd == -EXDEV && tree) fd = pr_links_open(tree->fd, tree->path, path, flags);
    if (tree) unpin_tree(pr_node_part(relay), tree);
    return fd;
}

int pr_tree_stat(struct pr_part *part, uint64_t tree_id, const char *path, struct stat *status) {
    struct pr_tree *tree = tree_id ? pin_tree(part, tree_id) : NULL;
    if (tree_id && !tree) return -EBADF;
    int result = pr_sys.fstatat(tree ? tree->fd : AT_FDCWD, path, status, 0) < 0 ? -errno : 0;
    if (tree) unpin_tree(part, tree);
    return result;
}

int pr_tree_folder(struct pr_relay *relay, uint64_t tree, const char *path) {
    return pr_tree_open_in(relay, tree, path, O_PATH | O_DIRECTORY);
}

int pr_tree_file(struct pr_relay *relay, uint64_t tree, const char *path) {
    int fd = pr_tree_open_in(relay, tree, path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    struct stat status;
    if (fd < 0) return fd;
    int result = pr_sys.fstat(fd, &status) < 0 ? -errno : S_ISREG(status.st_mode) ? fd : -EINVAL;
    if (result < 0) close(fd);
    return result;
}

static int lock_descriptor(struct pr_relay *relay, struct pr_tree *tree, const char *path) {
    if (tree->lock_fd >= 0) return tree->lock_fd;
    tree->lock_fd = pr_tree_open_in(relay, tree->id, path, O_RDWR);
    /* Who may not write the lock file can still share it. */
    if (tree->lock_fd == -EACCES || tree->lock_fd == -EROFS)
        tree->lock_fd = pr_tree_open_in(relay, tree->id, path, O_RDONLY);
    return tree->lock_fd;
}

int pr_tree_lock(struct pr_relay *relay, uint64_t id, const char *path, unsigned byte, enum pr_lock_mode mode) {
    static const short types[] = {[PR_UNLOCKED] = F_UNLCK, [PR_SHARED] = F_RDLCK, [PR_EXCLUSIVE] = F_WRLCK};
    struct pr_tree *tree = pin_tree(pr_node_part(relay), id);
    if (!tree) return -EBADF;
    int fd = lock_descriptor(relay, tree, path);
    unpin_tree(pr_node_part(relay), tree); /* only this thread closes it */
    if (fd < 0) return fd;
    struct flock lock = {.l_type = types[mode], .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (pr_sys.lock(fd, &lock) == 0) return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}
