/*
 * What all layers of a relay share, and its locks.
 *
 * A relay is in parts, one for Node and one for each lane, each with a lock. A lane's part is what nobody else has: its
 * connections, their transmissions and the references of these, and what it counts. Node's has the transmissions that
 * no connection carries yet. A part is changed under its lock, which its lane alone takes as long as no writer comes
 * and Node does nothing to its connections.
 *
 * What the parts have in common (generations, inodes and claims, published regions, the ids of connections) is changed
 * under the locks of all parts (pr_lock), and so can be read under any one of them. Readers and writers rely on that:
 * who takes a reference sees under one lock that no claim is on its pages, and adds it; who makes a claim has that lock
 * as well, so it either sees the reference or is seen. A lane that has let go of what a writer waits for leaves its
 * part unsettled, and claims are judged again under all locks.
 *
 * Locks are taken in the order of the parts, Node's first; who has a lane's lock takes that of no other part. Behind
 * them come those of the ring of events and of logs. They are held for list work only, never over a system call that
 * could wait.
 */
#ifndef PR_SHARED_H
#define PR_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/allowance.h"
#include "base/counters.h"
#include "base/events.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/slots.h"

/* Each layer keeps what is its own in a struct that only it and those above it know. */
struct pr_pages_layer;
struct pr_wire_layer;
struct pr_lanes_layer;
struct pr_http_layer;

/* Processors fetch lines by pairs. */
enum { PR_CACHE_LINE = 128 };

/* Memory that is read soon: the processor fetches all of its lines at once, not one after the other. */
static inline void pr_fetch(const void *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += PR_CACHE_LINE / 2) __builtin_prefetch((const char *)from + at);
}

struct pr_part {
    pthread_mutex_t lock;
    struct pr_relay *relay;
    unsigned index;
    bool unsettled; /* something of it has changed that what the parts have in common depends on */
    struct pr_list garbage;
    struct pr_counters counters;
    struct pr_share transmissions, held_bytes; /* of the relay's allowances */
    char apart[PR_CACHE_LINE];                 /* two parts have no line in common */
};

struct pr_relay {
    struct pr_part *parts; /* Node's, and behind it those of lanes */
    unsigned part_count;
    struct pr_slots slots;
    struct pr_limits limits[PR_PLACES];     /* changed under all locks, by pr_limit */
    void (*settle)(struct pr_relay *relay); /* under all locks, after parts were unsettled */
    void (*notify)(void *context);          /* any thread, without locks: events became readable; may be NULL */
    void *context;
    struct pr_pages_layer *pages;
    struct pr_wire_layer *wire;
    struct pr_lanes_layer *lanes;
    struct pr_http_layer *http;
    atomic_bool notify_due;
    char apart[PR_CACHE_LINE];
    struct pr_ring ring;
    struct pr_allowance transmissions, held_bytes; /* that may be in flight; used only where they are limited */
};

/* Node's part, in which is also counted what lanes have in common. */
static inline struct pr_part *pr_node_part(const struct pr_relay *relay) {
    return &relay->parts[0];
}

void pr_lock_part(struct pr_part *part);
void pr_lock(struct pr_relay *relay); /* all of them */
/*
 * What parts were unsettled by is settled before a lock is taken again. Also disposes, without locks, of what has
 * become unused, and notifies of events.
 */
void pr_unlock_part(struct pr_part *part);
void pr_unlock_both(struct pr_part *one, struct pr_part *other);
void pr_unlock(struct pr_relay *relay);

/* What can become unused under a lock, and takes system calls to get rid of: the head of it. */
struct pr_garbage {
    struct pr_list list;
    void (*dispose)(struct pr_garbage *garbage); /* without locks */
};

static inline void pr_garbage_init(struct pr_garbage *garbage, void (*dispose)(struct pr_garbage *)) {
    pr_list_init(&garbage->list);
    garbage->dispose = dispose;
}

static inline bool pr_is_garbage(const struct pr_garbage *garbage) {
    return !pr_list_empty(&garbage->list);
}

/* Under the part's lock: it is disposed of when that is given back. */
static inline void pr_discard_later(struct pr_part *part, struct pr_garbage *garbage) {
    pr_list_append(&part->garbage, &garbage->list);
}

/* From now on these limits hold. */
void pr_limit(struct pr_relay *relay, const struct pr_limits limits[PR_PLACES]);

/* Of a relay that is all zeros, but for its parts' memory. */
void pr_shared_open(struct pr_relay *relay, void (*notify)(void *context), void *context);
void pr_shared_close(struct pr_relay *relay);

#endif
