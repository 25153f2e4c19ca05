/*
 * What all layers of a relay share. One mutex guards it, and what the layers keep: it is held for list work only, never
 * over a system call on a file or a socket.
 */
#ifndef PR_SHARED_H
#define PR_SHARED_H

#include <pthread.h>
#include <stdbool.h>

#include "base/counters.h"
#include "base/events.h"
#include "base/list.h"
#include "base/slots.h"

/* Each layer keeps what is its own in a struct that only it and those above it know. */
struct pr_pages_layer;
struct pr_wire_layer;
struct pr_lanes_layer;
struct pr_http_layer;

struct pr_relay {
    pthread_mutex_t lock;
    struct pr_slots slots;
    struct pr_ring ring;
    struct pr_counters counters;
    struct pr_list garbage;
    bool notify_due;
    void (*notify)(void *context); /* any thread, without the lock: events became readable; may be NULL */
    void *context;
    struct pr_pages_layer *pages;
    struct pr_wire_layer *wire;
    struct pr_lanes_layer *lanes;
    struct pr_http_layer *http;
};

void pr_lock(struct pr_relay *relay);
/* Also disposes, outside of the lock, of what has become unused under it, and notifies of events. */
void pr_unlock(struct pr_relay *relay);

/* What can become unused under the lock, and takes system calls to get rid of: the head of it. */
struct pr_garbage {
    struct pr_list list;
    void (*dispose)(struct pr_garbage *garbage); /* without the lock */
};

static inline void pr_garbage_init(struct pr_garbage *garbage, void (*dispose)(struct pr_garbage *)) {
    pr_list_init(&garbage->list);
    garbage->dispose = dispose;
}

static inline bool pr_is_garbage(const struct pr_garbage *garbage) {
    return !pr_list_empty(&garbage->list);
}

/* Under the lock: it is disposed of when that is given back. */
static inline void pr_discard_later(struct pr_relay *relay, struct pr_garbage *garbage) {
    pr_list_append(&relay->garbage, &garbage->list);
}

/* Of a relay that is all zeros. */
void pr_shared_open(struct pr_relay *relay, void (*notify)(void *context), void *context);
void pr_shared_close(struct pr_relay *relay);

#endif
