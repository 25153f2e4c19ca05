/* Life and death of a relay, its lock, its events. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "http/pattern.h"
#include "state.h"

uint64_t pr_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void pr_lock(struct pr_relay *relay) {
    pthread_mutex_lock(&relay->lock);
}

void pr_unlock(struct pr_relay *relay) {
    struct pr_list connections, generations;
    pr_list_init(&connections);
    pr_list_init(&generations);
    pr_list_each(node, &relay->closing_connections) {
        pr_list_remove(node);
        pr_list_append(&connections, node);
    }
    pr_list_each(node, &relay->closing_generations) {
        pr_list_remove(node);
        pr_list_append(&generations, node);
    }
    bool notify = relay->notify_due;
    relay->notify_due = false;
    pthread_mutex_unlock(&relay->lock);

    pr_list_each(node, &connections) pr_connection_dispose(pr_container(node, struct pr_connection, garbage));
    pr_list_each(node, &generations) pr_generation_dispose(pr_container(node, struct pr_generation, garbage));
    if (notify && relay->options.notify) relay->options.notify(relay->options.context);
}

/* Events: the room for all that something can cause is set aside when it is made, so adding never fails. */

enum { LEAST_EVENTS = 256, MANY_EVENTS = 4096 };

/* Steps small enough that what ten thousand idle connections could cause costs each of them 150 bytes, not 300. */
static size_t enlarged(size_t capacity) {
    if (capacity < LEAST_EVENTS) return LEAST_EVENTS;
    return capacity < MANY_EVENTS ? capacity * 2 : capacity + capacity / 8;
}

int pr_events_reserve(struct pr_relay *relay, size_t more) {
    struct pr_ring *ring = &relay->ring;
    const struct pr_counters *now = &relay->counters;
    more += now->connections * PR_EVENTS_OF_ONE + now->claims + now->references + now->patterns + relay->retired +
            1; /* ANSWERS */
    if (ring->capacity - ring->used >= more) return 0;
    size_t capacity = ring->capacity;
    while (capacity < ring->used + more) capacity = enlarged(capacity);
    struct pr_event *larger = pr_allocate(capacity, sizeof *larger);
    if (!larger) return -ENOMEM;
    for (size_t index = 0; index < ring->used; index++)
        larger[index] = ring->events[(ring->first + index) % ring->capacity];
    pr_free(ring->events);
    *ring = (struct pr_ring){.events = larger, .capacity = capacity, .used = ring->used};
    return 0;
}

void pr_event_add(struct pr_relay *relay, struct pr_event event) {
    struct pr_ring *ring = &relay->ring;
    assert(ring->used < ring->capacity);
    if (ring->used == 0) relay->notify_due = true;
    ring->events[(ring->first + ring->used++) % ring->capacity] = event;
}

size_t pr_events(struct pr_relay *relay, struct pr_event *into, size_t capacity) {
    struct pr_ring *ring = &relay->ring;
    size_t count = 0;
    pr_lock(relay);
    while (count < capacity && ring->used > 0) {
        into[count++] = ring->events[ring->first];
        ring->first = (ring->first + 1) % ring->capacity;
        ring->used--;
    }
    pr_unlock(relay);
    return count;
}

void pr_counters(struct pr_relay *relay, struct pr_counters *into) {
    pr_lock(relay);
    unsigned open = pr_patterns_open(relay); /* forgets those that are over */
    *into = relay->counters;
    into->open_patterns = open;
    into->stalled_seconds = pr_stalled_seconds(relay);
    pr_unlock(relay);
    into->allocated_bytes = pr_allocated_bytes();
}

/* Life and death. */

int pr_relay_create(const struct pr_options *options, struct pr_relay **created) {
    struct pr_relay *relay = pr_allocate(1, sizeof *relay);
    if (!relay) return -ENOMEM;
    pthread_mutex_init(&relay->lock, NULL);
    relay->options = *options;
    relay->max_hold = (uint64_t)(options->max_hold_seconds * 1e9);
    relay->only_node = pr_only_node();
    pr_list_init(&relay->pipes.idle);
    pr_list_init(&relay->quarantined);
    pr_list_init(&relay->broken_off);
    pr_list_init(&relay->closing_connections);
    pr_list_init(&relay->closing_generations);
    pr_list_init(&relay->inodes);
    pr_list_init(&relay->doors);
    pr_list_init(&relay->patterns);
    pthread_cond_init(&relay->disposed, NULL);
    int result = pr_prober_open(&relay->prober);
    if (result == 0 && options->log_answers > 0) {
        relay->answers.list = pr_allocate(options->log_answers, sizeof *relay->answers.list);
        relay->answers.capacity = options->log_answers;
        result = relay->answers.list ? 0 : -ENOMEM;
    }
    if (result == 0) result = pr_lanes_start(relay);
    if (result < 0) {
        pr_relay_destroy(relay);
        return result;
    }
    *created = relay;
    return 0;
}

static void drop_list(struct pr_list *transmissions, uint64_t now) {
    pr_list_each(node, transmissions) {
        struct pr_transmission *transmission = pr_container(node, struct pr_transmission, undone);
        pr_hold_drop(transmission, now);
    }
}

void pr_relay_destroy(struct pr_relay *relay) {
    uint32_t cursor = 0;
    void *object;
    pr_lanes_stop(relay);
    uint64_t now = pr_now();
    pr_list_each(node, &relay->doors) pr_door_close(relay, pr_container(node, struct pr_door, doors)->id);
    pr_lock(relay);
    while ((object = pr_slots_next(&relay->slots, PR_KIND_CONNECTION, &cursor))) {
        struct pr_connection *connection = object;
        struct pr_transmission *current = connection->current;
        connection->current = NULL;
        if (current) pr_count_outcome(current, PR_OUTCOME_CANCELLED, now);
        if (current && pr_list_empty(&current->undone)) pr_hold_drop(current, now);
        drop_list(&connection->undone, now);
        connection->node_closed = true;
        pr_connection_settle(connection);
    }
    pr_patterns_withdraw(relay);
    drop_list(&relay->quarantined, now);
    for (cursor = 0; (object = pr_slots_next(&relay->slots, PR_KIND_TRANSMISSION, &cursor));) pr_hold_drop(object, now);
    for (cursor = 0; (object = pr_slots_next(&relay->slots, PR_KIND_CLAIM, &cursor));) pr_claim_end(object);
    for (cursor = 0; (object = pr_slots_next(&relay->slots, PR_KIND_GENERATION, &cursor));) {
        ((struct pr_generation *)object)->closed = true;
        pr_generation_settle(object);
    }
    relay->notify_due = false;
    relay->options.notify = NULL;
    pr_unlock(relay);
    pr_generations_closed(relay);
    for (cursor = 0; (object = pr_slots_next(&relay->slots, PR_KIND_TREE, &cursor));)
        pr_tree_close(relay, ((struct pr_tree *)object)->id);
    pr_pipes_free(&relay->pipes);
    pr_prober_close(&relay->prober);
    pr_slots_free(&relay->slots);
    pr_free(relay->ring.events);
    pr_free(relay->answers.list);
    pr_free(relay->lanes);
    pthread_cond_destroy(&relay->disposed);
    pthread_mutex_destroy(&relay->lock);
    pr_free(relay);
}
