/* Files that are changed under leases, or by others; and the locks that keep others out. */
#include "lease-scene.h"

#include <fcntl.h>
#include <unistd.h>

#include "pages/current.h"

/* Changes of our own, and of others. */

struct folder {
    char path[64];
    struct scene scene;
    uint64_t tree;
    int file;
};

static void folder_open(struct folder *folder) {
    char name[96];
    snprintf(folder->path, sizeof folder->path, "/dev/shm/pagerelay-leases-XXXXXX");
    CHECK(mkdtemp(folder->path));
    snprintf(name, sizeof name, "%s/region", folder->path);
    int fd = (int)MUST(open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    MUST(ftruncate(fd, SIZE));
    close(fd);
    folder->scene = (struct scene){.relay = relay_start(options_with(1))};
    CHECK_EQUAL(pr_tree_open(folder->scene.relay, folder->path, &folder->tree), 0);
    folder->file = pr_tree_file(folder->scene.relay, folder->tree, "region");
    CHECK(folder->file >= 0);
    folder->scene.region = region_open(folder->scene.relay, folder->file);
}

static void folder_close(struct folder *folder) {
    char name[96];
    snprintf(name, sizeof name, "%s/region", folder->path);
    MUST(unlink(name));
    MUST(rmdir(folder->path));
    CHECK_EQUAL(pr_tree_close(folder->scene.relay, folder->tree), 0);
    scene_close(&folder->scene);
}

static int is_at(struct folder *folder) {
    return pr_generation_is_at(folder->scene.relay, folder->scene.region.generation, folder->tree, "region");
}

/* Writes until the file's time has moved: the clock behind it is coarse. */
static void change(struct folder *folder) {
    struct stat before, after;
    MUST(fstat(folder->file, &before));
    do {
        CHECK_EQUAL(MUST(pwrite(folder->file, "x", 1, 0)), 1);
        MUST(fstat(folder->file, &after));
    } while (memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim) == 0);
}

static void a_change_under_a_lease_is_none_by_others(void) {
    struct folder folder;
    folder_open(&folder);
    struct scene *scene = &folder.scene;
    uint64_t again = region_open(scene->relay, folder.file).generation, version;
    struct pr_generation_info info;
    CHECK_EQUAL(is_at(&folder), 1);
    uint64_t lease = leased(scene, 0, 1);
    CHECK_EQUAL(pr_lease_begin(scene->relay, lease, 3, &version), 0);
    change(&folder);
    CHECK_EQUAL(is_at(&folder), 1);
    CHECK_EQUAL(try_hold(scene, PAGE, PAGE), 0);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, &info), 0);
    struct stat now;
    MUST(fstat(folder.file, &now));
    CHECK_EQUAL(info.modified_seconds, now.st_mtim.tv_sec);
    CHECK_EQUAL(info.modified_nanoseconds, now.st_mtim.tv_nsec);
    CHECK_EQUAL(info.changed_seconds, now.st_ctim.tv_sec);
    CHECK_EQUAL(info.changed_nanoseconds, now.st_ctim.tv_nsec);
    CHECK_EQUAL(is_at(&folder), 1);
    CHECK_EQUAL(try_hold(scene, 0, PAGE), 0);
    CHECK_EQUAL(pr_generation_is_at(scene->relay, again, folder.tree, "region"), 1); /* all openings know of it */
    CHECK_EQUAL(pr_generation_close(scene->relay, again), 0);
    folder_close(&folder);
}

static void a_change_is_our_own_though_its_opening_was_closed_meanwhile(void) {
    struct folder folder;
    folder_open(&folder);
    struct scene *scene = &folder.scene;
    uint64_t again = region_open(scene->relay, folder.file).generation, version;
    uint64_t lease = leased(scene, 0, 1);
    CHECK_EQUAL(pr_lease_begin(scene->relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_generation_close(scene->relay, scene->region.generation), 0);
    scene->region.generation = again;
    change(&folder);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, NULL), 0);
    CHECK_EQUAL(is_at(&folder), 1);
    folder_close(&folder);
}

static void growing_under_a_lease_is_no_change_of_what_is_served(void) {
    struct folder folder;
    folder_open(&folder);
    struct scene *scene = &folder.scene;
    struct pr_generation_info info;
    uint64_t lease = ask_lease(scene, PAGES, 4, PR_NEEDS_NOTHING, 1);
    CHECK_EQUAL(pr_lease_touch(scene->relay, lease), 0);
    CHECK_EQUAL(pr_generation_is_settled(scene->relay, scene->region.generation, 0, 0), 0);
    MUST(ftruncate(folder.file, SIZE + 4 * PAGE));
    CHECK_EQUAL(is_at(&folder), 1);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, &info), 0);
    CHECK_EQUAL(info.size, SIZE); /* this opening maps no more */
    CHECK_EQUAL(is_at(&folder), 1);
    CHECK_EQUAL(pr_generation_is_settled(scene->relay, scene->region.generation, 0, 0), 1);
    CHECK_EQUAL(try_hold(scene, 0, SIZE), 0);
    folder_close(&folder);
}

static void a_change_by_others_is_seen(void) {
    struct folder folder;
    folder_open(&folder);
    struct scene *scene = &folder.scene;
    uint64_t place = ask_place(scene, 0, 1, 1), id;
    change(&folder);
    CHECK_EQUAL(is_at(&folder), 0);
    CHECK_EQUAL(hold_at(scene, place, 0, PAGE, &id), -ESTALE);
    end_place(scene, place); /* it was kept */
    /* Not by a lease under which nothing was to change. */
    uint64_t lease = leased(scene, 0, 1);
    CHECK_EQUAL(try_hold(scene, PAGE, PAGE), -ESTALE);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, NULL), 0);
    CHECK_EQUAL(is_at(&folder), 0);
    CHECK_EQUAL(try_hold(scene, 0, PAGE), -ESTALE);
    folder_close(&folder);
}

static void a_cut_by_others_is_seen_even_after_a_change_of_our_own(void) {
    struct folder folder;
    folder_open(&folder);
    struct scene *scene = &folder.scene;
    uint64_t lease = leased(scene, 0, 1), version;
    CHECK_EQUAL(pr_lease_begin(scene->relay, lease, 1, &version), 0);
    MUST(ftruncate(folder.file, SIZE - PAGE));
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, NULL), 0);
    CHECK_EQUAL(is_at(&folder), 0);
    CHECK_EQUAL(try_hold(scene, 0, PAGE), -ESTALE);
    folder_close(&folder);
}

static void a_replaced_file_is_another_even_under_a_lease(void) {
    struct folder folder;
    folder_open(&folder);
    char old[96], new[96];
    snprintf(old, sizeof old, "%s/region", folder.path);
    snprintf(new, sizeof new, "%s/new", folder.path);
    close((int)MUST(open(new, O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
    uint64_t lease = leased(&folder.scene, 0, 1), version;
    CHECK_EQUAL(pr_lease_begin(folder.scene.relay, lease, 1, &version), 0);
    MUST(rename(new, old));
    CHECK_EQUAL(is_at(&folder), 0);
    end_lease(&folder.scene, lease);
    folder_close(&folder);
}

/* Locks between relays. */

struct locker {
    struct pr_relay *relay;
    uint64_t tree;
};

static struct locker locker_open(const char *path) {
    struct locker locker = {.relay = relay_start(options_with(1))};
    CHECK_EQUAL(pr_tree_open(locker.relay, path, &locker.tree), 0);
    return locker;
}

static void locker_close(struct locker *locker) {
    CHECK_EQUAL(pr_tree_close(locker->relay, locker->tree), 0);
    pr_relay_destroy(locker->relay);
}

static int lock(struct locker *locker, unsigned byte, enum pr_lock_mode mode) {
    return pr_tree_lock(locker->relay, locker->tree, "region", byte, mode);
}

static void a_lock_is_shared_or_not_between_relays(void) {
    struct folder folder;
    folder_open(&folder);
    struct locker one = locker_open(folder.path), other = locker_open(folder.path), third = locker_open(folder.path);
    CHECK_EQUAL(pr_tree_lock(one.relay, one.tree, "none", 0, PR_SHARED), -ENOENT);
    CHECK_EQUAL(pr_tree_lock(one.relay, one.tree + 1, "region", 0, PR_SHARED), -EBADF);
    CHECK_EQUAL(lock(&one, 0, PR_SHARED), 0);
    CHECK_EQUAL(lock(&other, 0, PR_SHARED), 0);
    CHECK_EQUAL(lock(&one, 0, PR_EXCLUSIVE), -EAGAIN);
    CHECK_EQUAL(lock(&other, 0, PR_UNLOCKED), 0);
    CHECK_EQUAL(lock(&third, 0, PR_EXCLUSIVE), -EAGAIN); /* the refused one is still shared */
    CHECK_EQUAL(lock(&third, 1, PR_EXCLUSIVE), 0);       /* another byte is another lock */
    CHECK_EQUAL(lock(&one, 0, PR_EXCLUSIVE), 0);
    CHECK_EQUAL(lock(&other, 0, PR_SHARED), -EAGAIN);
    CHECK_EQUAL(lock(&one, 1, PR_SHARED), -EAGAIN);
    CHECK_EQUAL(lock(&one, 0, PR_SHARED), 0);
    CHECK_EQUAL(lock(&other, 0, PR_SHARED), 0);
    CHECK_EQUAL(lock(&other, 0, PR_EXCLUSIVE), -EAGAIN);
    locker_close(&one); /* all that it had goes with it */
    CHECK_EQUAL(lock(&other, 0, PR_EXCLUSIVE), 0);
    locker_close(&other);
    locker_close(&third);
    folder_close(&folder);
}

int main(void) {
    RUN(a_change_under_a_lease_is_none_by_others);
    RUN(a_change_is_our_own_though_its_opening_was_closed_meanwhile);
    RUN(growing_under_a_lease_is_no_change_of_what_is_served);
    RUN(a_change_by_others_is_seen);
    RUN(a_cut_by_others_is_seen_even_after_a_change_of_our_own);
    RUN(a_replaced_file_is_another_even_under_a_lease);
    RUN(a_lock_is_shared_or_not_between_relays);
    return 0;
}
