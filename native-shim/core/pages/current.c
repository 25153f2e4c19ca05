#include "pages/current.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/layer.h"
#include "pages/tree.h"

void pr_describe_status(const struct stat *status, struct pr_generation_info *info) {
    info->device = status->st_dev;
    info->inode = status->st_ino;
    info->size = (uint64_t)status->st_size;
    info->links = status->st_nlink;
    info->modified_seconds = status->st_mtim.tv_sec;
    info->modified_nanoseconds = status->st_mtim.tv_nsec;
    info->changed_seconds = status->st_ctim.tv_sec;
    info->changed_nanoseconds = status->st_ctim.tv_nsec;
}

/* 0 or -errno; `status` may be NULL. */
static int stat_descriptor(int fd, struct pr_generation_info *info, struct stat *status) {
    struct stat own, *seen = status ? status : &own;
    if (pr_sys.fstat(fd, seen) < 0) return -errno;
    memset(info, 0, sizeof *info);
    pr_describe_status(seen, info);
    return 0;
}

/* O_PATH opens nothing: a FIFO does not wait, a device does not wake. */
int pr_generation_stat(struct pr_relay *relay, uint64_t tree, const char *path, struct pr_generation_info *info) {
    int fd = pr_tree_open_in(relay, tree, path, O_PATH);
    if (fd < 0) return fd;
    struct stat status;
    int result = stat_descriptor(fd, info, &status);
    close(fd);
    if (result < 0) return result;
    return S_ISREG(status.st_mode) || (S_ISCHR(status.st_mode) && !tree) ? 0 : -EINVAL;
}

/* Under any lock: whether its file is as it was when it was opened, or last changed under a lease. */
static bool is_unchanged(const struct pr_generation *generation, const struct pr_generation_info *now) {
    const struct pr_generation_info *then = &generation->info;
    if (now->device != then->device || now->inode != then->inode) return false;
    if (generation->inode->changing > 0 || then->backing.backing == PR_BACKING_DEVDAX) return true;
    /* Who overwrites a file can put its mtime back (rsync --inplace -t does), but not its ctime. */
    return now->size == generation->file_size && now->modified_seconds == then->modified_seconds &&
           now->modified_nanoseconds == then->modified_nanoseconds && now->changed_seconds == then->changed_seconds &&
           now->changed_nanoseconds == then->changed_nanoseconds;
}

int pr_generation_is_at(struct pr_relay *relay, uint64_t id, uint64_t tree, const char *path) {
    uint64_t counted = 0;
    for (int look = 1;; look++) {
        struct pr_generation_info now;
        int result = pr_generation_stat(relay, tree, path, &now);
        pr_lock(relay);
        struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
        if (!generation) result = -EBADF;
        if (result == 0) result = is_unchanged(generation, &now);
        /* Another name has gone, or this one after it was opened and before names were counted: what is found again
         * was counted. */
        if (result == 1 && look == 2) generation->info.links = counted;
        bool again = result == 1 && look == 1 && now.links != generation->info.links;
        pr_unlock(relay);
        if (!again) return result;
        counted = now.links;
    }
}

int pr_glance(struct pr_part *part, uint64_t tree, const char *path, struct pr_generation_info *now) {
    struct stat status;
    int result = pr_tree_stat(part, tree, path, &status);
    if (result == 0) pr_describe_status(&status, now);
    return result;
}

/*
 * Whoever gives a file another name, or takes one from it, changes its time: one that has not changed is at this path
 * in the tree, or was never anywhere else. All else is looked at closely.
 */
int pr_generation_is_still_at(struct pr_part *part, uint64_t id, uint64_t tree, const char *path) {
    struct pr_relay *relay = part->relay;
    struct pr_generation_info now = {0};
    int result = pr_glance(part, tree, path, &now);
    pr_lock_part(part);
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    bool same = result == 0 && generation && is_unchanged(generation, &now) && now.links == generation->info.links;
    pr_unlock_part(part);
    return same ? 1 : pr_generation_is_at(relay, id, tree, path);
}

/* Only the relay's own thread closes one, so its path is good meanwhile. */
int pr_generation_is_in_place(struct pr_relay *relay, uint64_t id) {
    struct pr_part *part = pr_node_part(relay);
    pr_lock_part(part);
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    int result = !generation ? -EBADF : generation->closed ? -ESTALE : 0;
    pr_unlock_part(part);
    return result < 0 ? result : pr_generation_is_still_at(part, id, generation->tree, generation->path);
}

/* The file behind an open generation. Only the relay's own thread closes one, so its descriptor is good meanwhile. */
static int stat_open(struct pr_relay *relay, uint64_t id, struct pr_generation_info *now) {
    pr_lock_part(pr_node_part(relay));
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    int fd = !generation ? -EBADF : generation->closed ? -ESTALE : generation->fd;
    pr_unlock_part(pr_node_part(relay));
    return fd < 0 ? fd : stat_descriptor(fd, now, NULL);
}

int pr_generation_check(struct pr_relay *relay, uint64_t id) {
    struct pr_generation_info now;
    int result = stat_open(relay, id, &now);
    if (result < 0) return result;
    pr_lock_part(pr_node_part(relay));
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    result = !generation ? -EBADF : is_unchanged(generation, &now) ? 0 : -ESTALE;
    pr_unlock_part(pr_node_part(relay));
    return result;
}

/* A file that others cut while it was changed here stays one that has changed. */
static void adopt(struct pr_generation *generation, const struct pr_generation_info *now) {
    generation->info.modified_seconds = now->modified_seconds;
    generation->info.modified_nanoseconds = now->modified_nanoseconds;
    generation->info.changed_seconds = now->changed_seconds;
    generation->info.changed_nanoseconds = now->changed_nanoseconds;
    if (now->size >= generation->info.size) generation->file_size = now->size;
}

/* By another name it is another region, with a validator of its own: that is opened anew. */
static bool is_by_same_name(const struct pr_generation *one, const struct pr_generation *other) {
    if (!one->path || !other->path) return one->path == other->path;
    return one->tree == other->tree && strcmp(one->path, other->path) == 0;
}

void pr_generation_refresh(const struct pr_generation *generation, struct pr_generation_info *info) {
    struct pr_relay *relay = generation->relay;
    struct pr_generation_info now;
    int result = stat_descriptor(generation->fd, &now, NULL);
    pr_lock(relay);
    if (result == 0 && generation->inode->changing > 0) {
        pr_list_each(node, &generation->inode->generations) {
            struct pr_generation *other = pr_container(node, struct pr_generation, of_inode);
            if (is_by_same_name(other, generation)) adopt(other, &now);
        }
    }
    if (info) *info = generation->info;
    pr_unlock(relay);
}

bool pr_is_as_seen(const struct pr_seen_file *seen, const struct pr_generation_info *now) {
    return seen->device == now->device && seen->inode == now->inode && seen->size == now->size &&
           seen->modified_seconds == now->modified_seconds && seen->modified_nanoseconds == now->modified_nanoseconds &&
           seen->changed_seconds == now->changed_seconds && seen->changed_nanoseconds == now->changed_nanoseconds;
}
