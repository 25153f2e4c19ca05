#include "pages/claim.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/shared.h"
#include "base/sys.h"
#include "pages/current.h"
#include "pages/generation.h"
#include "pages/kept.h"
#include "pages/layer.h"
#include "pages/reference.h"
#include "pages/verdict.h"

/* What waits is looked at whenever a reference becomes smaller: so many writers of one file wait, no more. */
enum { MOST_WAITING = 128 };

/* The queue. */

static void count_waiting(const struct pr_claim *claim, int change) {
    struct pr_counters *counters = &pr_node_part(claim->generation->relay)->counters;
    struct pr_inode *inode = claim->generation->inode;
    uint64_t *count = claim->writer ? &counters->waiting_writers : &counters->waiting_readers;
    *count += (uint64_t)(int64_t)change;
    if (claim->writer) inode->waiting_writers += (unsigned)change;
    if (claim->writer && claim->needs == PR_NEEDS_ACCEPTED) inode->waiting_for_sockets += (unsigned)change;
    if (claim->again) inode->waiting_again += (unsigned)change;
}

/* Nobody who has bytes of it is left without them. */
static void give_kept(struct pr_claim *claim) {
    if (claim->kept) pr_kept_give(claim->kept, pr_node_part(claim->generation->relay));
    claim->kept = NULL;
}

static void grant(struct pr_claim *claim) {
    claim->granted = true;
    give_kept(claim);
    if (claim->writer) pr_node_part(claim->generation->relay)->counters.leases++;
}

static void remove_claim(struct pr_claim *claim) {
    struct pr_generation *generation = claim->generation;
    struct pr_relay *relay = generation->relay;
    give_kept(claim);
    if (!claim->granted) count_waiting(claim, -1);
    if (claim->granted && claim->writer) pr_node_part(relay)->counters.leases--;
    pr_assert(!claim->begun || generation->inode->changing > 0);
    if (claim->begun) generation->inode->changing--;
    pr_node_part(relay)->counters.claims--;
    pr_events_forgo(relay, 1);
    pr_list_remove(&claim->queue);
    if (pr_list_empty(&generation->inode->claims)) pr_list_remove(&generation->inode->claimed);
    pr_slots_remove(&relay->slots, claim->id);
    pr_free(claim);
    pr_assert(generation->claims > 0);
    generation->claims--;
    pr_generation_settle(generation);
}

/* Grants or refuses, in order, what can be; `writers` alone where only references have changed. */
static void settle(struct pr_inode *inode, bool writers) {
    struct pr_relay *relay = inode->relay;
    bool refused = false;
    pr_list_each(node, &inode->claims) {
        struct pr_claim *claim = pr_container(node, struct pr_claim, queue);
        if (claim->granted || (writers && !claim->writer)) continue;
        enum pr_verdict verdict = pr_claim_judge(claim);
        if (verdict == PR_PAGES_HELD) continue;
        struct pr_event event = {.kind = PR_EVENT_GRANTED, .id = claim->id};
        if (verdict == PR_PAGES_QUARANTINED) {
            event.error = EBUSY;
            refused = true;
            remove_claim(claim); /* not the inode: its quarantined reference keeps that */
        } else {
            count_waiting(claim, -1);
            grant(claim);
        }
        pr_event_add(relay, event);
    }
    if (refused) settle(inode, false);
}

void pr_claims_settle(struct pr_inode *inode) {
    if (inode->waiting_writers > 0) settle(inode, true);
}

void pr_claim_end(struct pr_claim *claim) {
    struct pr_inode *inode =
        claim->generation->inode; /* what becomes unused now is closed when the lock is given back */
    remove_claim(claim);
    settle(inode, false);
}

static struct pr_claim *new_claim(bool writer, enum pr_needs needs, size_t count) {
    struct pr_claim *claim = pr_allocate(1, sizeof *claim + count * sizeof claim->pages[0]);
    if (!claim) return NULL;
    claim->writer = writer;
    claim->needs = needs;
    pr_list_init(&claim->queue);
    return claim;
}

/* It is in the queue, and counts as waiting. 1 when granted at once, 0, or -errno: then the claim is gone. */
static int admit(struct pr_claim *claim, bool wait) {
    enum pr_verdict verdict = pr_claim_judge(claim);
    if (verdict == PR_PAGES_FREE) {
        count_waiting(claim, -1);
        grant(claim);
    } else if (verdict == PR_PAGES_QUARANTINED || !wait) {
        remove_claim(claim);
        return verdict == PR_PAGES_QUARANTINED ? -EBUSY : -EAGAIN;
    }
    return verdict == PR_PAGES_FREE;
}

/* Under all locks: joins the queue. Results as of `admit`. */
static int join_queue(struct pr_claim *claim, struct pr_generation *generation, bool wait, uint64_t *id) {
    struct pr_relay *relay = generation->relay;
    claim->generation = generation;
    int result = pr_events_promise(relay, 1);
    bool promised = result == 0;
    if (promised) result = pr_slots_add(&relay->slots, PR_KIND_CLAIM, claim, &claim->id);
    if (result < 0) {
        if (promised) pr_events_forgo(relay, 1);
        pr_free(claim);
        return result;
    }
    struct pr_inode *inode = generation->inode;
    if (pr_list_empty(&inode->claims)) pr_list_append(&relay->pages->claimed, &inode->claimed);
    pr_list_append(&inode->claims, &claim->queue);
    generation->claims++;
    pr_node_part(relay)->counters.claims++;
    count_waiting(claim, 1);
    *id = claim->id;
    return admit(claim, wait);
}

static struct pr_claim *find_claim(struct pr_relay *relay, uint64_t id, bool writer) {
    struct pr_claim *claim = pr_slots_find(&relay->slots, PR_KIND_CLAIM, id);
    return claim && claim->writer == writer ? claim : NULL;
}

struct pr_claim *pr_lease_find(struct pr_relay *relay, uint64_t id) {
    struct pr_claim *claim = find_claim(relay, id, true);
    return claim && claim->granted ? claim : NULL;
}

struct pr_claim *pr_place_find(struct pr_relay *relay, uint64_t id) {
    return find_claim(relay, id, false);
}

static int end(struct pr_relay *relay, uint64_t id, bool writer) {
    pr_lock(relay);
    struct pr_claim *claim = find_claim(relay, id, writer);
    if (claim) pr_claim_end(claim);
    pr_unlock(relay);
    return claim ? 0 : -EBADF;
}

/* Writers. */

int pr_lease(struct pr_relay *relay, uint64_t generation_id, uint64_t offset, uint64_t length, enum pr_needs needs,
             bool wait, uint64_t *id) {
    struct pr_claim *claim = new_claim(true, needs, 1);
    if (!claim) return -ENOMEM;
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, generation_id);
    int result = -EBADF;
    if (generation && generation->closed) result = -ESTALE;
    bool crowded = generation && wait && generation->inode->waiting_writers >= MOST_WAITING;
    if (generation && !generation->closed) result = length == 0 ? -ERANGE : crowded ? -EUSERS : 0;
    if (result == 0) {
        claim->count = 1;
        claim->pages[0] = pr_pages_of(generation, offset, length);
        result = join_queue(claim, generation, wait, id);
        claim = NULL;
    }
    pr_unlock(relay);
    pr_free(claim);
    return result;
}

int pr_lease_wait(struct pr_relay *relay, uint64_t id, enum pr_needs needs) {
    pr_lock(relay);
    struct pr_claim *claim = pr_lease_find(relay, id);
    int result = !claim || claim->begun ? -EBADF : pr_events_reserve(relay, 1); /* it was granted before */
    if (result == 0) {
        struct pr_inode *inode = claim->generation->inode;
        /* Not those behind it: who is first in the queue is not refused for their sake. */
        bool crowded = inode->waiting_again >= MOST_WAITING;
        pr_node_part(relay)->counters.leases--;
        claim->granted = false;
        claim->needs = needs;
        claim->again = true;
        count_waiting(claim, 1);
        result = admit(claim, !crowded);
        if (result == -EAGAIN) result = -EUSERS;
        if (result < 0) settle(inode, false);
    }
    pr_unlock(relay);
    return result;
}

static struct pr_inode *start_change(struct pr_claim *claim) {
    struct pr_inode *inode = claim->generation->inode;
    if (!claim->begun) inode->changing++;
    claim->begun = true;
    return inode;
}

int pr_lease_touch(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_claim *claim = pr_lease_find(relay, id);
    if (claim) start_change(claim);
    pr_unlock(relay);
    return claim ? 0 : -EBADF;
}

int pr_lease_begin(struct pr_relay *relay, uint64_t id, uint64_t epoch, uint64_t *version) {
    pr_lock(relay);
    struct pr_claim *claim = pr_lease_find(relay, id);
    if (claim) {
        bool in_step = pr_generation_is_in_step(claim->generation);
        struct pr_inode *inode = start_change(claim);
        inode->version = inode->epoch == epoch ? inode->version + 1 : 1;
        inode->epoch = epoch;
        if (in_step) pr_generation_keep_step(claim->generation);
        *version = inode->version;
    }
    pr_unlock(relay);
    return claim ? 0 : -EBADF;
}

int pr_lease_end(struct pr_relay *relay, uint64_t id, bool ours, struct pr_generation_info *info) {
    pr_lock(relay);
    const struct pr_claim *claim = ours ? pr_lease_find(relay, id) : NULL;
    pr_unlock(relay);
    /* Where the file can't be looked at, it counts as one that others have changed, and is opened anew. */
    if (claim) pr_generation_refresh(claim->generation, info);
    return end(relay, id, true);
}

/* Readers. */

int pr_place(struct pr_relay *relay, uint64_t generation_id, const struct pr_segment *segments, size_t count,
             uint64_t *id) {
    struct pr_claim *claim = new_claim(false, PR_NEEDS_NOTHING, count);
    if (!claim) return -ENOMEM;
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, generation_id);
    int result = !generation ? -EBADF : generation->closed ? -ESTALE : 0;
    for (size_t index = 0; result == 0 && index < count; index++)
        if (!segments[index].literal)
            claim->pages[claim->count++] = pr_pages_of(generation, segments[index].offset, segments[index].length);
    if (result == 0) {
        result = join_queue(claim, generation, true, id);
        claim = NULL;
    }
    pr_unlock(relay);
    pr_free(claim);
    return result;
}

int pr_place_end(struct pr_relay *relay, uint64_t id) {
    return end(relay, id, false);
}
