/* A page at a time: no call costs more than its page and a pass over the slots. */
#include "wire/references.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "wire/connection.h"
#include "wire/done.h"
#include "wire/layer.h"

/* So many slots are passed before others may have the lock. */
enum { PASSED_AT_ONCE = 4096 };

static struct pr_reference_info describe_reference(const struct pr_transmission *transmission, uint64_t now) {
    static const enum pr_reference_state states[] = {
        [PR_HELD] = PR_REFERENCE_UNSENT, [PR_SENDING] = PR_REFERENCE_UNSENT,          [PR_ACCEPTED] = PR_REFERENCE_SENT,
        [PR_BROKEN] = PR_REFERENCE_SENT, [PR_QUARANTINED] = PR_REFERENCE_QUARANTINED,
    };
    struct pr_reference_info info = {
        .id = transmission->id,
        .generation = transmission->reference.generation->id,
        .bytes = transmission->reference.total - transmission->reference.released,
        .state = states[transmission->reference.state],
        .engine = transmission->engine,
        .peer_kind = transmission->peer_kind,
        .age_seconds = (double)(now - transmission->reference.held_since) / 1e9,
    };
    pr_reference_range(&transmission->reference, &info.first, &info.last);
    if (transmission->connection)
        pr_peer_name(&transmission->connection->peer, info.peer, sizeof info.peer);
    else
        memcpy(info.peer, transmission->peer, sizeof info.peer);
    return info;
}

/* The lowest ids: a heap with the highest of them on top. */
struct lowest {
    uint64_t *ids;
    size_t count, capacity;
    bool more; /* there were others */
};

static void rise(struct lowest *lowest, size_t place) {
    uint64_t id = lowest->ids[place];
    for (; place > 0 && lowest->ids[(place - 1) / 2] < id; place = (place - 1) / 2)
        lowest->ids[place] = lowest->ids[(place - 1) / 2];
    lowest->ids[place] = id;
}

/* Puts an id in the place of the highest. */
static void sink(struct lowest *lowest, uint64_t id) {
    size_t place = 0;
    for (size_t child; (child = 2 * place + 1) < lowest->count; place = child) {
        if (child + 1 < lowest->count && lowest->ids[child + 1] > lowest->ids[child]) child++;
        if (lowest->ids[child] <= id) break;
        lowest->ids[place] = lowest->ids[child];
    }
    lowest->ids[place] = id;
}

static void offer(struct lowest *lowest, uint64_t id) {
    if (lowest->count < lowest->capacity) {
        lowest->ids[lowest->count] = id;
        rise(lowest, lowest->count++);
        return;
    }
    lowest->more = true;
    if (id < lowest->ids[0]) sink(lowest, id);
}

static int by_id(const void *left, const void *right) {
    uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return one < other ? -1 : one > other;
}

/* The ids of a page, in their order. */
static void collect_page(struct pr_relay *relay, uint64_t generation, uint64_t after, struct lowest *lowest) {
    struct pr_transmission *transmission;
    uint32_t cursor = 0;
    pr_lock(relay);
    for (unsigned passed = 1; (transmission = pr_slots_next(&relay->slots, PR_KIND_TRANSMISSION, &cursor)); passed++) {
        if (transmission->id > after && (!generation || transmission->reference.generation->id == generation))
            offer(lowest, transmission->id);
        if (passed % PASSED_AT_ONCE > 0) continue;
        pr_unlock(relay);
        pr_lock(relay);
    }
    pr_unlock(relay);
    qsort(lowest->ids, lowest->count, sizeof *lowest->ids, by_id);
}

/* What is done by now is let go of. Each connection is looked at once, whatever it has of the page. */
static void look_at_page(struct pr_relay *relay, const struct lowest *page) {
    pr_lock(relay);
    uint64_t round = ++relay->wire->rounds;
    for (size_t index = 0; index < page->count; index++) {
        struct pr_transmission *transmission = pr_slots_find(&relay->slots, PR_KIND_TRANSMISSION, page->ids[index]);
        struct pr_connection *connection = transmission ? transmission->connection : NULL;
        if (!connection || connection->round == round || pr_list_empty(&connection->undone)) continue;
        connection->round = round;
        pr_pin_and_look(connection);
    }
    pr_unlock(relay);
}

static size_t describe_page(struct pr_relay *relay, const struct lowest *page, struct pr_reference_info *into) {
    uint64_t now = pr_now();
    size_t count = 0;
    pr_lock(relay);
    for (size_t index = 0; index < page->count; index++) {
        struct pr_transmission *transmission = pr_slots_find(&relay->slots, PR_KIND_TRANSMISSION, page->ids[index]);
        if (transmission) into[count++] = describe_reference(transmission, now);
    }
    pr_unlock(relay);
    return count;
}

int pr_references(struct pr_relay *relay, uint64_t generation, uint64_t after, struct pr_reference_info *into,
                  size_t capacity, struct pr_page *page) {
    struct lowest lowest = {.ids = pr_allocate(capacity, sizeof *lowest.ids), .capacity = capacity};
    if (!lowest.ids) return -ENOMEM;
    collect_page(relay, generation, after, &lowest);
    look_at_page(relay, &lowest);
    page->count = describe_page(relay, &lowest, into);
    page->next = lowest.more ? lowest.ids[lowest.count - 1] : 0;
    pr_free(lowest.ids);
    return 0;
}
