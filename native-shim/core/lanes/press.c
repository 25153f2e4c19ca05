/* What a waiting writer does about the references in its way: looks whether they are done, and has old ones broken. */
#include "lanes/press.h"

#include <errno.h>

#include "base/clock.h"
#include "lanes/layer.h"
#include "pages/layer.h"
#include "wire/connection.h"
#include "wire/done.h"
#include "wire/layer.h"

/* Looks are system calls on the caller's thread: so many in one go. */
enum { AT_ONCE = 128 };

/* A pause between two looks that is longer than this was one in which nobody waited. */
#define MOST_BETWEEN 500000000u /* ns; a waiting writer presses every 50 ms */

/* Under all locks: what a reference costs is the time that writers wait for it, not its age. */
static void count_time_waited(struct pr_reference *reference, uint64_t now) {
    uint64_t since = now - reference->waited_for_at;
    bool goes_on = reference->waited_for_at > 0 && since < MOST_BETWEEN;
    reference->waited_for += goes_on ? since : 1;
    reference->waited_for_at = now;
}

/* A reference that is to be looked at. */
struct pressed {
    uint64_t id;
    struct pr_connection *connection; /* that carries it, pinned; NULL for none */
};

struct pressing {
    struct pressed *into;
    size_t count;
    int quarantined; /* nothing can be done about these */
};

/* Behind all others: the next time, those come first that were not looked at for longest. */
static void put_last(struct pr_list *node, struct pr_list *list) {
    pr_list_remove(node);
    pr_list_append(list, node);
}

/* Under all locks: of one generation and part, those that a writer waits for. */
static void collect_held(struct pressing *pressing, struct pr_list *references) {
    uint64_t now = pr_now();
    struct pr_list looked_at;
    pr_list_init(&looked_at);
    pr_list_each(node, references) {
        struct pr_reference *reference = pr_container(node, struct pr_reference, references);
        if (pressing->count == AT_ONCE) break;
        if (!pr_is_waited_for(reference)) continue;
        if (reference->state == PR_QUARANTINED) {
            pressing->quarantined++;
            continue;
        }
        count_time_waited(reference, now);
        const struct pr_transmission *transmission = pr_transmission_of(reference);
        struct pressed *pressed = &pressing->into[pressing->count++];
        *pressed = (struct pressed){.id = transmission->id, .connection = transmission->connection};
        if (pressed->connection) pr_pin(pressed->connection);
        put_last(node, &looked_at);
    }
    pr_list_each(node, &looked_at) put_last(node, references);
}

static void collect_of_inode(struct pressing *pressing, struct pr_inode *inode, unsigned first) {
    pr_list_each(node, &inode->generations) {
        struct pr_generation *generation = pr_container(node, struct pr_generation, of_inode);
        unsigned parts = generation->relay->part_count;
        for (unsigned part = 0; part < parts; part++)
            collect_held(pressing, &generation->held[(first + part) % parts].references);
    }
    put_last(inode->generations.next, &inode->generations);
}

/*
 * Under all locks. Returns the lane to wake, or NULL. What is told is told once; a lane is asked each time, for what it
 * was asked for before can have ended just then, with its pages still in the way.
 */
static struct pr_poller *break_one(struct pr_transmission *transmission) {
    struct pr_connection *connection = transmission->connection;
    struct pr_relay *relay = transmission->reference.generation->relay;
    if (connection && pr_is_broken(connection)) return NULL;
    /* Node has closed it: nothing more will be sent, so there is nothing to break off. */
    if (connection && pr_node_has_closed(connection) && !connection->current) return NULL;
    bool first = !transmission->break_told;
    transmission->break_told = true;
    if (first) pr_node_part(relay)->counters.breaks++;
    if (!connection) {
        if (first) pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_UNWANTED, .id = transmission->id});
    } else if (pr_is_with_lane(connection)) {
        connection->abort = -EBUSY;
        if (pr_poller_ready(connection)) return connection->poller;
    } else if (!pr_node_has_closed(connection) && !connection->break_told) {
        connection->break_told = true;
        pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_STALLED, .id = connection->id});
    }
    return NULL;
}

/* Whether it is still in the way after a look. */
static bool press_one(struct pr_relay *relay, const struct pressed *pressed, uint64_t longest) {
    struct pr_connection *connection = pressed->connection;
    struct pr_poller *wake = NULL;
    if (connection) pr_look(connection, &relay->wire->prober);
    pr_lock(relay);
    struct pr_transmission *transmission = connection
                                               ? pr_connection_carries(connection, pressed->id)
                                               : pr_slots_find(&relay->wire->held, PR_KIND_TRANSMISSION, pressed->id);
    bool waited_for = transmission && pr_is_waited_for(&transmission->reference);
    if (waited_for && transmission->reference.waited_for >= longest) wake = break_one(transmission);
    if (connection) pr_unpin(connection);
    if (connection) pr_connection_settle(connection);
    pr_unlock(relay);
    if (wake) pr_poller_wake(wake);
    return waited_for;
}

/* Under all locks: of all inodes, other parts and inodes first each time. */
static void collect_all(struct pr_relay *relay, struct pressing *pressing) {
    unsigned first = relay->lanes->presses++;
    struct pr_list *claimed = &relay->pages->claimed;
    pr_list_each(node, claimed) collect_of_inode(pressing, pr_container(node, struct pr_inode, claimed), first);
    if (!pr_list_empty(claimed)) put_last(claimed->next, claimed);
}

int pr_press(struct pr_relay *relay, double break_seconds) {
    struct pressed pressed[AT_ONCE];
    struct pressing pressing = {.into = pressed};
    uint64_t longest = (uint64_t)(break_seconds * 1e9);
    pr_lock(relay);
    collect_all(relay, &pressing);
    pr_unlock(relay);
    int left = pressing.quarantined;
    for (size_t index = 0; index < pressing.count; index++) left += press_one(relay, &pressed[index], longest);
    return left;
}
