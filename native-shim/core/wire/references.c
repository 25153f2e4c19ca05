/* A page at a time: no call costs more than its page and two passes over what is in flight. */
#include "wire/references.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "wire/connection.h"
#include "wire/done.h"
#include "wire/layer.h"

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

/* A page that is being made: first its ids, then what is told of those that are still there. */
struct page {
    uint64_t generation, after;
    struct lowest lowest;
    struct pr_reference_info *into; /* of each id; NULL at first */
};

static void visit(struct page *page, const struct pr_transmission *transmission) {
    const uint64_t id = transmission->id;
    if (!page->into) {
        bool wanted = !page->generation || transmission->reference.generation->id == page->generation;
        if (id > page->after && wanted) offer(&page->lowest, id);
        return;
    }
    const uint64_t *found = bsearch(&id, page->lowest.ids, page->lowest.count, sizeof id, by_id);
    if (found) page->into[found - page->lowest.ids] = describe_reference(transmission, pr_now());
}

static void visit_list(struct page *page, const struct pr_list *transmissions) {
    pr_list_each(node, transmissions) visit(page, pr_container(node, struct pr_transmission, undone));
}

static void visit_connection(struct page *page, const struct pr_connection *connection) {
    visit_list(page, &connection->undone);
    if (connection->current && pr_list_empty(&connection->current->undone)) visit(page, connection->current);
}

static bool has_some_of(const struct page *page, const struct pr_connection *connection) {
    pr_list_each(node, &connection->undone) {
        const uint64_t *id = &pr_container(node, struct pr_transmission, undone)->id;
        if (bsearch(id, page->lowest.ids, page->lowest.count, sizeof *id, by_id)) return true;
    }
    return false;
}

/* Under both locks, which it gives up: what is done by now is let go of before. */
static void look_and_visit(struct page *page, struct pr_connection *connection) {
    bool looks = page->into && has_some_of(page, connection);
    if (looks) {
        pr_pin(connection);
        pr_connection_unlock_both(connection);
        pr_look(connection, &connection->relay->wire->prober);
        pr_connection_lock_both(connection);
        pr_unpin(connection);
    }
    visit_connection(page, connection);
    if (looks) pr_connection_settle(connection);
    pr_connection_unlock_both(connection);
}

/* The next one, with both locks; NULL after the last. */
static struct pr_connection *next_connection(struct pr_relay *relay, uint32_t *cursor) {
    pr_lock_part(pr_node_part(relay));
    struct pr_connection *connection = pr_slots_next(&relay->slots, PR_KIND_CONNECTION, cursor);
    if (connection)
        pr_connection_lock(connection);
    else
        pr_unlock_part(pr_node_part(relay));
    return connection;
}

/*
 * All of them, in the order in which one goes from hand to hand: held, carried by a connection, quarantined. So none is
 * missed that is there all the time, though it may be visited twice. Each lock is held for a few of them.
 */
static void visit_all(struct pr_relay *relay, struct page *page) {
    struct pr_transmission *transmission;
    struct pr_connection *connection;
    uint32_t cursor = 0;
    pr_lock_part(pr_node_part(relay));
    while ((transmission = pr_slots_next(&relay->wire->held, PR_KIND_TRANSMISSION, &cursor))) visit(page, transmission);
    pr_unlock_part(pr_node_part(relay));
    for (cursor = 0; (connection = next_connection(relay, &cursor));) look_and_visit(page, connection);
    for (unsigned part = 0; part < relay->part_count; part++) {
        pr_lock_part(&relay->parts[part]);
        visit_list(page, &relay->wire->parts[part].quarantined);
        pr_unlock_part(&relay->parts[part]);
    }
}

/* In their order; one that has gone from hand to hand counts once. */
static void sort_ids(struct lowest *lowest) {
    size_t kept = 0;
    qsort(lowest->ids, lowest->count, sizeof *lowest->ids, by_id);
    for (size_t index = 0; index < lowest->count; index++)
        if (kept == 0 || lowest->ids[kept - 1] != lowest->ids[index]) lowest->ids[kept++] = lowest->ids[index];
    lowest->count = kept;
}

/* Those that were not described are gone. */
static size_t close_gaps(struct pr_reference_info *into, size_t count) {
    size_t kept = 0;
    for (size_t index = 0; index < count; index++)
        if (into[index].id != 0) into[kept++] = into[index];
    return kept;
}

int pr_references(struct pr_relay *relay, uint64_t generation, uint64_t after, struct pr_reference_info *into,
                  size_t capacity, struct pr_page *page) {
    struct page made = {.generation = generation, .after = after};
    struct lowest *lowest = &made.lowest;
    *lowest = (struct lowest){.ids = pr_allocate(capacity, sizeof *lowest->ids), .capacity = capacity};
    if (!lowest->ids) return -ENOMEM;
    visit_all(relay, &made);
    sort_ids(lowest);
    made.into = into;
    for (size_t index = 0; index < lowest->count; index++) into[index].id = 0;
    if (lowest->count > 0) visit_all(relay, &made);
    page->count = close_gaps(into, lowest->count);
    page->next = lowest->more ? lowest->ids[lowest->count - 1] : 0;
    pr_free(lowest->ids);
    return 0;
}
