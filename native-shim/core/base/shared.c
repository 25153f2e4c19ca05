#include "base/shared.h"

#include <string.h>

#include "base/sys.h"

static void dispose_all(struct pr_list *garbage) {
    pr_list_each(node, garbage) {
        struct pr_garbage *unused = pr_container(node, struct pr_garbage, list);
        unused->dispose(unused);
    }
}

/* Moved out, so that it can be disposed of without a lock. */
static void take_garbage(struct pr_part *part, struct pr_list *into) {
    pr_list_each(node, &part->garbage) {
        pr_list_remove(node);
        pr_list_append(into, node);
    }
}

/* Looked at before it is changed: as a rule there is nothing, and all threads may have the line. */
static void notify_if_due(struct pr_relay *relay) {
    bool due = atomic_load(&relay->notify_due) && atomic_exchange(&relay->notify_due, false);
    if (due && relay->notify) relay->notify(relay->context);
}

void pr_lock_part(struct pr_part *part) {
    pthread_mutex_lock(&part->lock);
}

/* Tells whether something of it is to be settled. */
static bool leave(struct pr_part *part, struct pr_list *garbage) {
    take_garbage(part, garbage);
    bool unsettled = part->unsettled;
    pthread_mutex_unlock(&part->lock);
    return unsettled;
}

static void after_leaving(struct pr_relay *relay, struct pr_list *garbage, bool unsettled) {
    if (unsettled) {
        pr_lock(relay);
        pr_unlock(relay);
    }
    dispose_all(garbage);
    notify_if_due(relay);
}

void pr_unlock_part(struct pr_part *part) {
    struct pr_list garbage;
    pr_list_init(&garbage);
    after_leaving(part->relay, &garbage, leave(part, &garbage));
}

void pr_unlock_both(struct pr_part *one, struct pr_part *other) {
    struct pr_list garbage;
    pr_list_init(&garbage);
    bool unsettled = leave(other, &garbage);
    unsettled |= leave(one, &garbage);
    after_leaving(one->relay, &garbage, unsettled);
}

void pr_lock(struct pr_relay *relay) {
    for (unsigned index = 0; index < relay->part_count; index++) pthread_mutex_lock(&relay->parts[index].lock);
}

static void settle_parts(struct pr_relay *relay) {
    bool unsettled = false;
    for (unsigned index = 0; index < relay->part_count; index++) {
        unsettled |= relay->parts[index].unsettled;
        relay->parts[index].unsettled = false;
    }
    if (unsettled) relay->settle(relay);
}

void pr_unlock(struct pr_relay *relay) {
    struct pr_list garbage;
    pr_list_init(&garbage);
    settle_parts(relay);
    for (unsigned index = relay->part_count; index > 0; index--) leave(&relay->parts[index - 1], &garbage);
    after_leaving(relay, &garbage, false);
}

void pr_limit(struct pr_relay *relay, const struct pr_limits limits[PR_PLACES]) {
    pr_lock(relay);
    memcpy(relay->limits, limits, sizeof relay->limits);
    pr_unlock(relay);
}

void pr_shared_open(struct pr_relay *relay, void (*notify)(void *context), void *context) {
    pthread_mutex_init(&relay->ring.lock, NULL);
    relay->notify = notify;
    relay->context = context;
    for (unsigned index = 0; index < relay->part_count; index++) {
        struct pr_part *part = &relay->parts[index];
        pthread_mutex_init(&part->lock, NULL);
        part->relay = relay;
        part->index = index;
        pr_list_init(&part->garbage);
    }
}

void pr_shared_close(struct pr_relay *relay) {
    for (unsigned index = 0; index < relay->part_count; index++) pthread_mutex_destroy(&relay->parts[index].lock);
    pr_slots_free(&relay->slots);
    pr_free(relay->ring.events);
    pthread_mutex_destroy(&relay->ring.lock);
}
