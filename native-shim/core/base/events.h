/*
 * What happened, for the thread that has the relay. The room for all that something can cause is set aside when that
 * something is made, so that telling never fails.
 */
#ifndef PR_EVENTS_H
#define PR_EVENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"

struct pr_relay;

enum pr_event_kind {
    PR_EVENT_ACCEPTED, /* a lane has given the socket the last byte; the connection is Node's again */
    PR_EVENT_BROKEN,   /* a lane broke the transmission off; `error` says why */
    PR_EVENT_DRAINED,  /* the FIN that was asked for may go out */
    PR_EVENT_STALLED,  /* a connection that Node owns has held pages for too long: break it */
    PR_EVENT_GRANTED,  /* a claim was granted, or with `error` EBUSY refused and gone */
    PR_EVENT_UNWANTED, /* a transmission that no connection carries holds a writer up for too long: release it */
    PR_EVENT_GONE,     /* nothing refers to a retired generation's file any more */
    PR_EVENT_RETURNED, /* a connection that its lane has read is Node's: `bytes` is an enum pr_return */
    PR_EVENT_ARRIVED,  /* the same of one that Node does not know yet: take it */
    PR_EVENT_CROWDED,  /* a new connection waits for room: `bytes` tells how many of their own lanes close for it */
    PR_EVENT_OPENED,   /* lanes have opened regions that Node does not know of: take them (http/opening.h) */
};

struct pr_event {
    enum pr_event_kind kind : 8;
    enum pr_outcome outcome : 8;
    int16_t error;
    uint64_t bytes; /* of the body, that the socket took (ACCEPTED, BROKEN) */
    uint64_t id;    /* of the transmission (ACCEPTED, BROKEN, UNWANTED), connection, claim or generation */
};

/* The oldest first, at most `capacity`; they are taken. */
size_t pr_events(struct pr_relay *relay, struct pr_event *into, size_t capacity);

struct pr_ring {
    pthread_mutex_t lock;
    struct pr_event *events;
    size_t capacity, first, used;
    size_t promised; /* what all that is there now can cause */
    bool crowded;    /* CROWDED is among them, once */
};

/* So many events more can come of what is there, and there is room for them. 0 or -ENOMEM. */
int pr_events_promise(struct pr_relay *relay, size_t more);
/* So many fewer can come. */
void pr_events_forgo(struct pr_relay *relay, size_t fewer);
/* Before what was promised can come again: room for all of it, and for `more`. 0 or -ENOMEM. */
int pr_events_reserve(struct pr_relay *relay, size_t more);
/* Under the lock of a part, which tells of it when it is given back. Never fails. */
void pr_event_add(struct pr_relay *relay, struct pr_event event);

#endif
