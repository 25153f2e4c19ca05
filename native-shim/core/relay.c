#include "relay.h"

#include <errno.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/sys.h"
#include "http/layer.h"
#include "lanes/layer.h"
#include "pages/layer.h"
#include "wire/layer.h"

/* In one piece of memory, with the parts behind it. */
struct whole {
    struct pr_relay relay; /* first */
    struct pr_pages_layer pages;
    struct pr_wire_layer wire;
    struct pr_lanes_layer lanes;
    struct pr_http_layer http;
};

static struct pr_relay *put_together(const struct pr_options *options) {
    unsigned parts = options->lanes + 1;
    struct whole *whole =
        pr_allocate(1, sizeof *whole + parts * (sizeof(struct pr_part) + sizeof(struct pr_wire_part)));
    if (!whole) return NULL;
    struct pr_relay *relay = &whole->relay;
    relay->part_count = parts;
    relay->parts = (struct pr_part *)(void *)&whole[1];
    whole->wire.parts = (struct pr_wire_part *)(void *)&relay->parts[parts];
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

static void add_numbers(uint64_t *sum, const uint64_t *of_part, size_t count) {
    for (size_t at = 0; at < count; at++) sum[at] += of_part[at];
}

#define ADD_ONE(type, field, ...)       sum->field += of_part->field;
#define ADD_BY(distinction, field, ...) add_numbers(sum->field, of_part->field, PR_COUNT_OF_##distinction);
#define ADD_TWO(one, other, field, ...)                                                                                \
    add_numbers(sum->field[0], of_part->field[0], (size_t)PR_COUNT_OF_##one *PR_COUNT_OF_##other);
#define ADD_TIMES(field, ...)                                                                                          \
    add_numbers(sum->field.by_time, of_part->field.by_time, PR_HOLD_BUCKETS);                                          \
    sum->field.seconds += of_part->field.seconds;

static void add_up(struct pr_counters *sum, const struct pr_counters *of_part) {
    PR_COUNTERS(ADD_ONE, ADD_BY, ADD_TWO, ADD_TIMES)
    sum->claims += of_part->claims;
    sum->shared += of_part->shared;
    sum->leaving += of_part->leaving;
}

/* What no part can see of its own: that no more was ended than was begun. */
static void check_sum(const struct pr_counters *sum) {
    pr_assert((int64_t)sum->references >= 0 && (int64_t)sum->held_bytes >= 0 && (int64_t)sum->held_pages >= 0);
    pr_assert((int64_t)sum->quarantined >= 0 && (int64_t)sum->quarantined_bytes >= 0);
    for (int state = 0; state < PR_TRANSMISSION_STATES; state++) pr_assert((int64_t)sum->by_state[state] >= 0);
}

void pr_counters(struct pr_relay *relay, struct pr_counters *into) {
    pr_lock(relay);
    *into = (struct pr_counters){0};
    for (unsigned index = 0; index < relay->part_count; index++) add_up(into, &relay->parts[index].counters);
    check_sum(into);
    into->stalled_seconds = pr_stalled_seconds(relay);
    pr_unlock(relay);
    into->allocated_bytes = pr_allocated_bytes();
}
