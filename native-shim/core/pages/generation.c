#include "pages/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/nudge.h"
#include "base/sys.h"
#include "pages/current.h"
#include "pages/layer.h"
#include "pages/mapping.h"
#include "pages/tree.h"

/* Closing. */

static void let_go(struct pr_generation *generation) {
    if (generation->fd >= 0) close(generation->fd);
    if (generation->inode) {
        struct pr_relay *relay = generation->relay;
        pr_lock(relay);
        pr_inode_give(generation->inode, &generation->of_inode);
        pr_node_part(relay)->counters.files--;
        pr_unlock(relay);
    }
    pr_free(generation);
}

/*
 * The last close of a file that has no name any more waits, on fsdax, for buffers that were read long ago and are
 * parked with some CPU (Linux 7.3; reference: docs/done.md). Nobody else shall wait with it.
 */
static void *let_go_nudging(void *argument) {
    struct pr_generation *generation = argument;
    struct pr_relay *relay = generation->relay;
    struct pr_nudging nudging;
    pr_nudge(); /* Linux 6.1 does not wait, and complains of pages that are not free */
    pr_nudging_begin(&nudging);
    let_go(generation);
    pr_nudging_end(&nudging);
    pr_lock_part(pr_node_part(relay));
    relay->pages->disposing--;
    pthread_cond_signal(&relay->pages->disposed);
    pr_unlock_part(pr_node_part(relay));
    return NULL;
}

static bool let_go_beside(struct pr_generation *generation) {
    struct pr_relay *relay = generation->relay;
    pthread_t thread;
    pr_lock_part(pr_node_part(relay));
    relay->pages->disposing++;
    pr_unlock_part(pr_node_part(relay));
    if (pthread_create(&thread, NULL, let_go_nudging, generation) == 0) {
        pthread_detach(thread);
        return true;
    }
    pr_lock_part(pr_node_part(relay));
    relay->pages->disposing--;
    pr_unlock_part(pr_node_part(relay));
    return false;
}

static void dispose_generation(struct pr_generation *generation) {
    pr_assert(generation->claims == 0);
    bool fsdax = generation->inode && generation->info.backing.backing == PR_BACKING_FSDAX;
    pr_generation_unmap(generation); /* at once: whoever maps the next one needs the room */
    if (!fsdax || !let_go_beside(generation)) let_go(generation);
}

static void dispose_unused_generation(struct pr_garbage *garbage) {
    dispose_generation(pr_container(garbage, struct pr_generation, garbage));
}

/* Opening. */

/* Whether there is a file to be opened. One that was seen before was one then. */
static int judge_path(struct pr_relay *relay, uint64_t tree, const char *path, const struct pr_seen_file *seen) {
    struct pr_generation_info now = {0};
    if (!seen) return pr_generation_stat(relay, tree, path, &now);
    int result = pr_glance(pr_node_part(relay), tree, path, &now);
    return result < 0 ? result : pr_is_as_seen(seen, &now) ? 0 : -ESTALE;
}

static int open_generation(struct pr_relay *relay, uint64_t tree, const char *path, uint64_t limit,
                           const struct pr_seen_file *seen, struct pr_generation *generation) {
    int result = judge_path(relay, tree, path, seen);
    if (result < 0) return result;
    generation->fd = pr_tree_open_in(relay, tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (generation->fd < 0) return generation->fd;
    struct stat status;
    if (pr_sys.fstat(generation->fd, &status) < 0) return -errno;
    pr_describe_status(&status, &generation->info);
    /* All regular files of a device are tmpfs's, or none is. */
    if (seen && seen->backing == PR_BACKING_TMPFS && seen->device == generation->info.device)
        pr_backing_is_tmpfs(&status, &generation->info.backing);
    else
        result = pr_backing_of(generation->fd, &generation->info.backing);
    if (result < 0) return result;
    generation->file_size = generation->info.backing.size;
    generation->info.size = generation->file_size < limit ? generation->file_size : limit;
    generation->mincore_tells =
        status.st_uid == geteuid() || pr_sys.faccessat(generation->fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
    return pr_generation_map(generation);
}

/* Under all locks: what can be held from now on. */
static int register_generation(struct pr_relay *relay, struct pr_generation *generation) {
    const struct pr_generation_info *info = &generation->info;
    generation->inode = pr_inode_take(relay, info->device, info->inode, &generation->of_inode);
    if (!generation->inode) return -ENOMEM;
    int result = pr_slots_add(&relay->slots, PR_KIND_GENERATION, generation, &generation->id);
    if (result < 0) pr_inode_give(generation->inode, &generation->of_inode);
    if (result < 0)
        generation->inode = NULL;
    else
        pr_node_part(relay)->counters.files++;
    return result;
}

static int open_and_register(struct pr_relay *relay, uint64_t tree, const char *path, uint64_t limit,
                             const struct pr_seen_file *seen, uint64_t *id, struct pr_generation_info *info) {
    size_t held = relay->part_count * sizeof(struct pr_held);
    struct pr_generation *generation = pr_allocate(1, sizeof *generation + held + strlen(path) + 1);
    if (!generation) return -ENOMEM;
    generation->tree = tree;
    generation->path = strcpy((char *)&generation->held[relay->part_count], path);
    for (unsigned part = 0; part < relay->part_count; part++) pr_list_init(&generation->held[part].references);
    pr_list_init(&generation->closing);
    pr_garbage_init(&generation->garbage, dispose_unused_generation);
    pr_list_init(&generation->of_inode);
    generation->fd = -1;
    generation->relay = relay;
    int result = open_generation(relay, tree, path, limit, seen, generation);
    if (result == 0) {
        pr_lock(relay);
        result = register_generation(relay, generation);
        pr_unlock(relay);
    }
    if (result < 0) {
        dispose_generation(generation);
        return result;
    }
    pr_nodes_find(generation);
    *id = generation->id;
    *info = generation->info;
    return 0;
}

int pr_generation_open(struct pr_relay *relay, uint64_t tree, const char *path, uint64_t limit, uint64_t *id,
                       struct pr_generation_info *info) {
    return open_and_register(relay, tree, path, limit, NULL, id, info);
}

int pr_generation_open_seen(struct pr_relay *relay, uint64_t tree, const char *path, const struct pr_seen_file *seen,
                            uint64_t *id, struct pr_generation_info *info) {
    return open_and_register(relay, tree, path, UINT64_MAX, seen, id, info);
}

int pr_generation_set_version(struct pr_relay *relay, uint64_t id, uint64_t *epoch, uint64_t *version) {
    pr_lock(relay);
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    struct pr_inode *inode = generation ? generation->inode : NULL;
    if (inode && inode->epoch == 0 && inode->version == 0) {
        inode->epoch = *epoch;
        inode->version = *version;
    }
    if (inode) {
        *epoch = inode->epoch;
        *version = inode->version;
    }
    pr_unlock(relay);
    return inode ? 0 : -EBADF;
}

int pr_generation_is_settled(struct pr_relay *relay, uint64_t id, uint64_t epoch, uint64_t version) {
    pr_lock_part(pr_node_part(relay));
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    const struct pr_inode *inode = generation ? generation->inode : NULL;
    bool settled = inode && inode->changing == 0 && inode->epoch == epoch && inode->version == version;
    pr_unlock_part(pr_node_part(relay));
    return settled;
}

static int close_generation(struct pr_relay *relay, uint64_t id, bool retire) {
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    /* One that was closed, and is still held, can be retired. */
    int result = !generation || (generation->closed && !retire) ? -EBADF : 0;
    if (result == 0 && retire) result = pr_inode_retire(generation->inode, id);
    if (result == 0) {
        pr_generation_shut(generation);
    }
    pr_unlock(relay);
    return result;
}

int pr_generation_close(struct pr_relay *relay, uint64_t id) {
    return close_generation(relay, id, false);
}

int pr_generation_retire(struct pr_relay *relay, uint64_t id) {
    return close_generation(relay, id, true);
}

void pr_generation_shut(struct pr_generation *generation) {
    if (!generation->closed) pr_list_append(&generation->relay->pages->closing, &generation->closing);
    generation->closed = true;
    pr_generation_settle(generation);
}

static bool is_held(const struct pr_generation *generation) {
    for (unsigned part = 0; part < generation->relay->part_count; part++)
        if (!pr_list_empty(&generation->held[part].references)) return true;
    return generation->claims > 0;
}

void pr_generation_settle(struct pr_generation *generation) {
    if (!generation->closed || pr_is_garbage(&generation->garbage) || is_held(generation)) return;
    pr_list_remove(&generation->closing);
    pr_slots_remove(&generation->relay->slots, generation->id);
    pr_discard_later(pr_node_part(generation->relay), &generation->garbage);
}

void pr_generations_closed(struct pr_relay *relay) {
    struct pr_part *part = pr_node_part(relay);
    pr_lock_part(part);
    while (relay->pages->disposing > 0) pthread_cond_wait(&relay->pages->disposed, &part->lock);
    pr_unlock_part(part);
}

int pr_generation_set_copying(struct pr_relay *relay, uint64_t id, unsigned engines) {
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    if (generation)
        generation->copying = engines & ~(1u << PR_ENGINE_ZEROCOPY); /* its notices tell, whatever it does */
    pr_unlock(relay);
    return generation ? 0 : -EBADF;
}

const char *pr_generation_at(struct pr_relay *relay, uint64_t id, uint64_t offset, size_t *length) {
    pr_lock_part(pr_node_part(relay));
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    uint64_t size = generation && generation->address ? generation->info.size : 0;
    uint64_t left = offset < size ? size - offset : 0;
    const char *address = left > 0 ? generation->address + offset : NULL;
    pr_unlock_part(pr_node_part(relay));
    if (*length > left) *length = (size_t)left;
    return address;
}

int pr_copy_mapped(const char *from, void *into, size_t length) {
    ssize_t copied = length > 0 ? pr_sys.read_mapped(from, into, length) : 0;
    return copied < 0 ? -errno : (int)copied;
}

int pr_generation_descriptor(struct pr_relay *relay, uint64_t id) {
    pr_lock_part(pr_node_part(relay));
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    int fd = generation ? generation->fd : -EBADF;
    pr_unlock_part(pr_node_part(relay));
    return fd;
}
