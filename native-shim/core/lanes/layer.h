/* What this layer keeps of a relay. */
#ifndef PR_LANES_LAYER_H
#define PR_LANES_LAYER_H

#include <stdatomic.h>

#include "base/shared.h"
#include "lanes/lane.h"
#include "lanes/room.h"

struct pr_lanes_layer {
    struct pr_lane *list;
    unsigned count;
    uint64_t max_hold; /* ns */
    unsigned presses;  /* so far */
    struct pr_list doors;
    atomic_int spare;       /* a descriptor, for when there are no others; -1 while a lane uses it, or without */
    uint64_t room_asked_at; /* ns: when an idle connection was last asked to close */
    const struct pr_serving *serving; /* what a layer above has registered */
};

void pr_lanes_open(struct pr_relay *relay);
/* Joins the threads, and closes the doors. */
void pr_lanes_end(struct pr_relay *relay);
/* When there are no connections any more. */
void pr_lanes_close(struct pr_relay *relay);

#endif
