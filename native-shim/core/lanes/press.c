/* What a waiting writer does about the references in its way: looks whether they are done, and has old ones broken. */
#include "lanes/press.h"

#include <errno.h>

#include "base/clock.h"
#include "pages/layer.h"
#include "wire/connection.h"
#include "wire/done.h"
#include "wire/layer.h"

/* Looks are system calls on the caller's thread: so many in one go. */
enum { AT_ONCE = 128 };

/* A pause between two looks that is longer than this was one in which nobody waited. */
#define MOST_BETWEEN 500000000u /* ns; a waiting writer presses every 50 ms */

/* Under the lock: what a reference costs is the time that writers wait for it, not its age. */
static void count_time_waited(struct pr_reference *reference, uint64_t now) {
    uint64_t since = now - reference->waited_for_at;
    bool goes_on = reference->waited_for_at > 0 && since < MOST_BETWEEN;
    reference->waited_for += goes_on ? since : 1;
    reference->waited_for_at = now;
}

/* Under the lock: the references of an inode that a writer waits for; those that were not looked at for longest. */
static size_t collect_waited_for(struct pr_inode *inode, uint64_t *ids, size_t most) {
    uint64_t now = pr_now();
    size_t count = 0;
    struct pr_list looked_at;
    pr_list_init(&looked_at);
    pr_list_each(node, &inode->references) {
        struct pr_reference *reference = pr_container(node, struct pr_reference, references);
        if (count == most) break;
        if (!pr_is_waited_for(reference)) continue;
        count_time_waited(reference, now);
        ids[count++] = pr_transmission_of(reference)->id;
        pr_list_remove(node);
        pr_list_append(&looked_at, node);
    }
    pr_list_each(node, &looked_at) {
        pr_list_remove(node);
        pr_list_append(&inode->references, node);
    }
    return count;
}

/*
 * Under the lock. Returns the lane to wake, or NULL. What is told is told once; a lane is asked each time, for what it
 * was asked for before can have ended just then, with its pages still in the way.
 */
static struct pr_poller *break_one(struct pr_transmission *transmission) {
    struct pr_connection *connection = transmission->connection;
    struct pr_relay *relay = transmission->reference.generation->relay;
    if (transmission->reference.state == PR_QUARANTINED || (connection && pr_is_broken(connection))) return NULL;
    /* Node has closed it: nothing more will be sent, so there is nothing to break off. */
    if (connection && pr_node_has_closed(connection) && !connection->current) return NULL;
    bool first = !transmission->break_told;
    transmission->break_told = true;
    if (first) relay->counters.breaks++;
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
static bool press_one(struct pr_relay *relay, uint64_t id, uint64_t longest) {
    pr_lock(relay);
    struct pr_transmission *transmission = pr_slots_find(&relay->slots, PR_KIND_TRANSMISSION, id);
    struct pr_connection *connection = transmission ? transmission->connection : NULL;
    if (connection && transmission->reference.state != PR_QUARANTINED) {
        pr_pin_and_look(connection);
        transmission = pr_slots_find(&relay->slots, PR_KIND_TRANSMISSION, id);
    }
    struct pr_poller *wake = NULL;
    bool waited_for = transmission && pr_is_waited_for(&transmission->reference);
    if (waited_for && transmission->reference.waited_for >= longest) wake = break_one(transmission);
    pr_unlock(relay);
    if (wake) pr_poller_wake(wake);
    return waited_for;
}

/* Under the lock: of all inodes; the next time others of them come first. */
static size_t collect_all(struct pr_relay *relay, uint64_t *ids) {
    size_t count = 0;
    struct pr_list looked_at;
    pr_list_init(&looked_at);
    pr_list_each(node, &relay->pages->inodes) {
        struct pr_inode *inode = pr_container(node, struct pr_inode, inodes);
        if (count == AT_ONCE) break;
        if (!pr_list_empty(&inode->claims)) count += collect_waited_for(inode, ids + count, AT_ONCE - count);
        pr_list_remove(node);
        pr_list_append(&looked_at, node);
    }
    pr_list_each(node, &looked_at) {
        pr_list_remove(node);
        pr_list_append(&relay->pages->inodes, node);
    }
    return count;
}

int pr_press(struct pr_relay *relay, double break_seconds) {
    uint64_t ids[AT_ONCE], longest = (uint64_t)(break_seconds * 1e9);
    int left = 0;
    pr_lock(relay);
    size_t count = collect_all(relay, ids);
    pr_unlock(relay);
    for (size_t index = 0; index < count; index++) left += press_one(relay, ids[index], longest);
    return left;
}
