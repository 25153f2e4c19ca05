/*
 * Life and death of a relay: what makes the layers of the core one.
 *
 * One relay belongs to one thread (in Node: one environment). That thread makes every call that takes a relay; the
 * lanes work beside it and report by events. Results are 0 or a count, or -errno: expected failures are values. Nothing
 * in the core knows Node, and nothing below http/ knows HTTP.
 */
#ifndef PR_RELAY_H
#define PR_RELAY_H

#include <stdbool.h>

#include "base/counters.h"
#include "base/pretence.h"

struct pr_options {
    unsigned lanes;
    double max_hold_seconds;
    unsigned max_broken_off; /* descriptors of broken-off local connections that stay under watch */
    struct pr_pretence pretence;
    void (*notify)(void *context); /* any thread: events became readable */
    void *context;
};

struct pr_relay;

int pr_relay_create(const struct pr_options *options, struct pr_relay **relay);

/* Joins the lanes, closes everything. What is still in the peers' queues stays there. */
void pr_relay_destroy(struct pr_relay *relay);

void pr_counters(struct pr_relay *relay, struct pr_counters *into);

#endif
