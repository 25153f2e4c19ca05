#include "base/events.h"

#include <errno.h>

#include "base/assert.h"
#include "base/shared.h"
#include "base/sys.h"

enum { LEAST_EVENTS = 256, MANY_EVENTS = 4096 };

/* Steps small enough that what ten thousand idle connections could cause costs each of them 150 bytes, not 300. */
static size_t enlarged(size_t capacity) {
    if (capacity < LEAST_EVENTS) return LEAST_EVENTS;
    return capacity < MANY_EVENTS ? capacity * 2 : capacity + capacity / 8;
}

/* Under the ring's lock: room for so many more than were promised. */
static int enlarge_ring(struct pr_ring *ring, size_t more) {
    size_t capacity = ring->capacity, needed = ring->used + ring->promised + more;
    if (capacity >= needed) return 0;
    while (capacity < needed) capacity = enlarged(capacity);
    struct pr_event *larger = pr_allocate(capacity, sizeof *larger);
    if (!larger) return -ENOMEM;
    for (size_t index = 0; index < ring->used; index++)
        larger[index] = ring->events[(ring->first + index) % ring->capacity];
    pr_free(ring->events);
    ring->events = larger;
    ring->capacity = capacity;
    ring->first = 0;
    return 0;
}

int pr_events_promise(struct pr_relay *relay, size_t more) {
    pthread_mutex_lock(&relay->ring.lock);
    int result = enlarge_ring(&relay->ring, more);
    if (result == 0) relay->ring.promised += more;
    pthread_mutex_unlock(&relay->ring.lock);
    return result;
}

void pr_events_forgo(struct pr_relay *relay, size_t fewer) {
    pthread_mutex_lock(&relay->ring.lock);
    pr_assert(relay->ring.promised >= fewer);
    relay->ring.promised -= fewer;
    pthread_mutex_unlock(&relay->ring.lock);
}

int pr_events_reserve(struct pr_relay *relay, size_t more) {
    pthread_mutex_lock(&relay->ring.lock);
    int result = enlarge_ring(&relay->ring, more);
    pthread_mutex_unlock(&relay->ring.lock);
    return result;
}

void pr_event_add(struct pr_relay *relay, struct pr_event event) {
    struct pr_ring *ring = &relay->ring;
    pthread_mutex_lock(&ring->lock);
    bool told = event.kind == PR_EVENT_CROWDED && ring->crowded;
    if (event.kind == PR_EVENT_CROWDED) ring->crowded = true;
    if (!told) {
        pr_assert(ring->used < ring->capacity);
        if (ring->used == 0) relay->notify_due = true;
        ring->events[(ring->first + ring->used++) % ring->capacity] = event;
    }
    pthread_mutex_unlock(&ring->lock);
}

size_t pr_events(struct pr_relay *relay, struct pr_event *into, size_t capacity) {
    struct pr_ring *ring = &relay->ring;
    size_t count = 0;
    pthread_mutex_lock(&ring->lock);
    while (count < capacity && ring->used > 0) {
        into[count] = ring->events[ring->first];
        if (into[count++].kind == PR_EVENT_CROWDED) ring->crowded = false;
        ring->first = (ring->first + 1) % ring->capacity;
        ring->used--;
    }
    pthread_mutex_unlock(&ring->lock);
    return count;
}
