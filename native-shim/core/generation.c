/* Trees and generations: where region files are found, what holds their bytes, and the mapping of each. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"
#include "sys.h"

int pr_tree_open(struct pr_relay *relay, const char *path, uint64_t *id) {
    struct pr_tree *tree = pr_allocate(1, sizeof *tree);
    if (!tree) return -ENOMEM;
    int result = -ENOMEM;
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
    pr_free(tree);
    return result;
}

static struct pr_tree *find_tree(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_tree *tree = pr_slots_find(&relay->slots, PR_KIND_TREE, id);
    pr_unlock(relay);
    return tree;
}

int pr_tree_close(struct pr_relay *relay, uint64_t id) {
    struct pr_tree *tree = find_tree(relay, id);
    if (!tree) return -EBADF;
    pr_lock(relay);
    pr_slots_remove(&relay->slots, id);
    pr_unlock(relay);
    close(tree->fd);
    pr_free(tree);
    return 0;
}

enum { MOST_TRIES = 16 };

/* Inside a tree the kernel itself refuses every path that leads out (RESOLVE_BENEATH): EXDEV. */
static int open_in(struct pr_relay *relay, uint64_t tree_id, const char *path, int flags) {
    struct pr_tree *tree = tree_id ? find_tree(relay, tree_id) : NULL;
    if (tree_id && !tree) return -EBADF;
    /* EAGAIN: a rename elsewhere in the tree raced with the walk; or, with no end, somebody has a lease on the file. */
    int fd = -1, tries = 0;
    do fd = pr_sys.open(tree ? tree->fd : AT_FDCWD, path, tree != NULL, flags | O_CLOEXEC);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < MOST_TRIES)));
    return fd < 0 ? -errno : fd;
}

static void describe(const struct stat *status, struct pr_generation_info *info) {
    info->device = status->st_dev;
    info->inode = status->st_ino;
    info->size = (uint64_t)status->st_size;
    info->modified_seconds = status->st_mtim.tv_sec;
    info->modified_nanoseconds = status->st_mtim.tv_nsec;
}

/* O_PATH opens nothing: a FIFO does not wait, a device does not wake. */
int pr_generation_stat(struct pr_relay *relay, uint64_t tree, const char *path, struct pr_generation_info *info) {
    int fd = open_in(relay, tree, path, O_PATH);
    if (fd < 0) return fd;
    struct stat status;
    int result = pr_sys.fstat(fd, &status) < 0 ? -errno : 0;
    close(fd);
    if (result < 0) return result;
    memset(info, 0, sizeof *info);
    describe(&status, info);
    return S_ISREG(status.st_mode) || (S_ISCHR(status.st_mode) && !tree) ? 0 : -EINVAL;
}

int pr_generation_is_at(struct pr_relay *relay, uint64_t id, uint64_t tree, const char *path) {
    struct pr_generation_info now, then;
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    if (generation) then = generation->info;
    pr_unlock(relay);
    if (!generation) return -EBADF;
    int result = pr_generation_stat(relay, tree, path, &now);
    if (result < 0) return result;
    bool device = then.backing.backing == PR_BACKING_DEVDAX; /* its size is not the file's */
    return now.device == then.device && now.inode == then.inode && (device || now.size == then.size) &&
           now.modified_seconds == then.modified_seconds && now.modified_nanoseconds == then.modified_nanoseconds;
}

static int map(struct pr_generation *generation) {
    if (generation->info.size == 0) return 0;
    void *address = pr_sys.mmap(NULL, generation->info.size, PROT_READ, MAP_SHARED, generation->fd, 0);
    if (address == MAP_FAILED) return -errno;
    generation->address = address;
    return 0;
}

static int open_generation(struct pr_relay *relay, uint64_t tree, const char *path, struct pr_generation *generation) {
    struct pr_generation_info judged;
    int result = pr_generation_stat(relay, tree, path, &judged);
    if (result < 0) return result;
    generation->fd = open_in(relay, tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (generation->fd < 0) return generation->fd;
    struct stat status;
    if (pr_sys.fstat(generation->fd, &status) < 0) return -errno;
    describe(&status, &generation->info);
    result = pr_backing_of(generation->fd, &generation->info.backing);
    if (result < 0) return result;
    generation->info.size = generation->info.backing.size;
    generation->mincore_tells =
        status.st_uid == geteuid() || faccessat(generation->fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
    return map(generation);
}

int pr_generation_open(struct pr_relay *relay, uint64_t tree, const char *path, uint64_t *id,
                       struct pr_generation_info *info) {
    struct pr_generation *generation = pr_allocate(1, sizeof *generation);
    if (!generation) return -ENOMEM;
    pr_list_init(&generation->references);
    pr_list_init(&generation->garbage);
    generation->fd = -1;
    generation->relay = relay;
    int result = open_generation(relay, tree, path, generation);
    if (result == 0) {
        pr_lock(relay);
        result = pr_slots_add(&relay->slots, PR_KIND_GENERATION, generation, &generation->id);
        pr_unlock(relay);
    }
    if (result < 0) {
        pr_generation_dispose(generation);
        return result;
    }
    struct pr_backing_info *backing = &generation->info.backing;
    if (backing->node < 0 && generation->address && pr_resident(generation, 0, 1))
        backing->node = pr_node_of_page(generation->address);
    *id = generation->id;
    *info = generation->info;
    return 0;
}

int pr_generation_close(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    bool found = generation && !generation->closed;
    if (found) {
        generation->closed = true;
        pr_generation_settle(generation);
    }
    pr_unlock(relay);
    return found ? 0 : -EBADF;
}

void pr_generation_settle(struct pr_generation *generation) {
    if (!generation->closed || !pr_list_empty(&generation->references)) return;
    pr_slots_remove(&generation->relay->slots, generation->id);
    pr_list_append(&generation->relay->closing_generations, &generation->garbage);
}

void pr_generation_dispose(struct pr_generation *generation) {
    if (generation->address) munmap((void *)(uintptr_t)generation->address, generation->info.size);
    if (generation->fd >= 0) close(generation->fd);
    pr_free(generation);
}

int pr_generation_descriptor(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, id);
    int fd = generation ? generation->fd : -EBADF;
    pr_unlock(relay);
    return fd;
}
