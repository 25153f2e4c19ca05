#include "wire/keep.h"

#include <errno.h>

#include "base/sys.h"
#include "pages/generation.h"
#include "pages/kept.h"
#include "wire/layer.h"
#include "wire/transmission.h"

/* Into so many segments a body is split at most, which are gone through each time: 64 KiB of memory. */
enum { MOST_SEGMENTS = 2048 };

/* Pointing to what is kept. */

/* Where its owner goes on, by what was sent. */
static void find_place(struct pr_transmission *transmission) {
    const struct pr_reference *reference = &transmission->reference;
    uint64_t before = 0;
    transmission->segment = 0;
    while (before + reference->segments[transmission->segment].length <= reference->sent)
        before += reference->segments[transmission->segment++].length;
    transmission->segment_sent = reference->sent - before;
}

/* Where that can't be had the writer waits. What is in a pipe is sent anew, from where it is now. */
static void point_to_kept(struct pr_transmission *transmission, struct pr_kept *kept) {
    struct pr_reference *reference = &transmission->reference;
    size_t count = pr_kept_split(reference, kept, NULL);
    bool may = count > 0 && count <= MOST_SEGMENTS;
    struct pr_segment *segments = may ? pr_allocate(count, sizeof *segments) : NULL;
    if (!segments) return;
    pr_kept_split(reference, kept, segments);
    pr_reference_point(reference, segments, count);
    pr_free(transmission->split);
    transmission->split = segments;
    find_place(transmission);
    if (transmission->pipe && transmission->pipe->filled > 0) pr_give_pipe_back(transmission);
    reference->part->counters.keeps++;
}

void pr_go_on_with_kept(struct pr_connection *connection) {
    struct pr_transmission *transmission = connection->current;
    if (!transmission) return;
    pr_list_each(node, &transmission->reference.generation->inode->claims) {
        const struct pr_claim *claim = pr_container(node, struct pr_claim, queue);
        if (claim->kept) point_to_kept(transmission, claim->kept);
    }
}

void pr_kept_segment_is_sent(struct pr_transmission *transmission) {
    if (transmission->split)
        pr_kept_give_segment(&transmission->split[transmission->segment], transmission->reference.part);
}

void pr_give_all_kept(struct pr_transmission *transmission) {
    const struct pr_reference *reference = &transmission->reference;
    for (size_t index = 0; transmission->split && index < reference->segment_count; index++)
        pr_kept_give_segment(&transmission->split[index], reference->part);
}

/* For a writer. */

/* All references to the lease's file that one part has: under its lock. */
static void widen_by_part(const struct pr_claim *lease, unsigned part, struct pr_pages *unsent) {
    pr_list_each(node, &lease->generation->inode->generations) {
        const struct pr_generation *generation = pr_container(node, struct pr_generation, of_inode);
        pr_list_each(one, &generation->held[part].references) {
            struct pr_reference *reference = pr_container(one, struct pr_reference, references);
            bool unsent_yet = reference->state == PR_HELD || reference->state == PR_SENDING;
            bool can_point = pr_transmission_of(reference)->engine != PR_ENGINE_STREAM;
            if (unsent_yet && can_point) pr_kept_widen(reference, &lease->pages[0], unsent);
        }
    }
}

static void point_in_part(const struct pr_claim *lease, struct pr_part *part) {
    pr_lock_part(part);
    pr_list_each(node, &lease->generation->inode->generations) {
        const struct pr_generation *generation = pr_container(node, struct pr_generation, of_inode);
        pr_list_each(one, &generation->held[part->index].references) {
            struct pr_transmission *transmission =
                pr_transmission_of(pr_container(one, struct pr_reference, references));
            const struct pr_connection *connection = transmission->connection;
            if (connection && connection->current == transmission && !connection->in_turn)
                point_to_kept(transmission, lease->kept);
        }
    }
    pr_unlock_part(part);
}

/* So many bytes of memory are copied in less time than a thread takes to wake up. */
enum { MOST_AT_ONCE = 256 << 10 };

static bool takes_long(const struct pr_claim *lease, const struct pr_pages *unsent) {
    enum pr_backing backing = lease->generation->info.backing.backing;
    bool in_memory = backing == PR_BACKING_TMPFS || backing == PR_BACKING_MEMFD;
    return !in_memory || unsent->end - unsent->first > MOST_AT_ONCE;
}

/* What is to be read, and its file; room for it is set aside. 1; 0 where there is nothing, or -errno. */
static int find_unsent_of_lease(struct pr_relay *relay, uint64_t id, bool at_once, struct pr_pages *unsent, int *fd) {
    pr_lock(relay);
    const struct pr_claim *lease = pr_lease_find(relay, id);
    int result = lease && !lease->begun && !lease->kept ? 0 : -EBADF;
    *unsent = (struct pr_pages){.first = UINT64_MAX};
    for (unsigned part = 0; result == 0 && part < relay->part_count; part++) widen_by_part(lease, part, unsent);
    bool any = result == 0 && unsent->first < unsent->end;
    if (any && at_once && takes_long(lease, unsent)) result = -EAGAIN;
    if (any && result == 0) result = pr_kept_reserve(relay, unsent->end - unsent->first);
    if (result == 0) *fd = lease->generation->fd;
    pr_unlock(relay);
    return result < 0 ? result : any;
}

/* From here on whoever ends a turn points to it. */
static const struct pr_claim *give_to_lease(struct pr_relay *relay, uint64_t id, struct pr_kept *kept) {
    pr_lock(relay);
    struct pr_claim *lease = pr_lease_find(relay, id);
    if (lease && !lease->kept)
        lease->kept = kept;
    else
        pr_kept_give(kept, pr_node_part(relay));
    bool given = lease && lease->kept == kept;
    pr_unlock(relay);
    return given ? lease : NULL;
}

int pr_lease_keep(struct pr_relay *relay, uint64_t id, bool at_once) {
    struct pr_pages unsent;
    struct pr_kept *kept;
    int fd = -1;
    if (PR_PRETENDS(relay, keep_nothing)) return 0;
    int result = find_unsent_of_lease(relay, id, at_once, &unsent, &fd);
    if (result <= 0) return result;
    result = pr_kept_read(fd, &unsent, &kept);
    if (result < 0) {
        pr_lock_part(pr_node_part(relay));
        pr_kept_forgo(pr_node_part(relay), unsent.end - unsent.first);
        pr_unlock_part(pr_node_part(relay));
        return result;
    }
    const struct pr_claim *lease = give_to_lease(relay, id, kept);
    for (unsigned part = 0; lease && part < relay->part_count; part++) point_in_part(lease, &relay->parts[part]);
    return lease ? 0 : -EBADF;
}

int pr_lease_wait_for(struct pr_relay *relay, uint64_t lease, enum pr_needs needs) {
    return pr_lease_wait(relay, lease, PR_PRETENDS(relay, keep_nothing) ? PR_NEEDS_NOTHING : needs);
}
