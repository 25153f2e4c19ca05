#include "relay.h"

#include <errno.h>

#include "base/clock.h"
#include "base/sys.h"
#include "http/layer.h"
#include "lanes/layer.h"
#include "pages/layer.h"
#include "wire/layer.h"

/* In one piece of memory. */
struct whole {
    struct pr_relay relay; /* first */
    struct pr_pages_layer pages;
    struct pr_wire_layer wire;
    struct pr_lanes_layer lanes;
    struct pr_http_layer http;
};

static struct pr_relay *put_together(const struct pr_options *options) {
    struct whole *whole = pr_allocate(1, sizeof *whole);
    if (!whole) return NULL;
    struct pr_relay *relay = &whole->relay;
    relay->pages = &whole->pages;
    relay->wire = &whole->wire;
    relay->lanes = &whole->lanes;
    relay->http = &whole->http;
    relay->wire->max_broken_off = options->max_broken_off;
    relay->wire->pretence = options->pretence;
    relay->lanes->max_hold = (uint64_t)(options->max_hold_seconds * 1e9);
    return relay;
}

int pr_relay_create(const struct pr_options *options, struct pr_relay **created) {
    struct pr_relay *relay = put_together(options);
    if (!relay) return -ENOMEM;
    pr_shared_open(relay, options->notify, options->context);
    pr_pages_open(relay);
    pr_lanes_open(relay);
    pr_http_open(relay);
    int result = pr_wire_open(relay);
    if (result == 0) result = pr_lanes_start(relay, options->lanes);
    if (result < 0) {
        pr_relay_destroy(relay);
        return result;
    }
    *created = relay;
    return 0;
}

void pr_relay_destroy(struct pr_relay *relay) {
    pr_lanes_end(relay);
    pr_lock(relay);
    pr_wire_end(relay, pr_now());
    pr_pages_end(relay);
    relay->notify_due = false;
    relay->notify = NULL;
    pr_unlock(relay);
    pr_pages_close(relay);
    pr_wire_close(relay);
    pr_http_close(relay);
    pr_lanes_close(relay);
    pr_shared_close(relay);
    pr_free(relay);
}

void pr_counters(struct pr_relay *relay, struct pr_counters *into) {
    pr_lock(relay);
    *into = relay->counters;
    into->stalled_seconds = pr_stalled_seconds(relay);
    pr_unlock(relay);
    into->allocated_bytes = pr_allocated_bytes();
}
