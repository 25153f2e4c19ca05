/*
 * The hold table: which transmission refers to which pages. One entry a transmission, in a list of its generation:
 * taking and dropping is constant time, and the cost of all is that of the transmissions in flight, whatever the
 * region's size.
 */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "state.h"

static int check_segments(const struct pr_generation *generation, const struct pr_segment *segments, size_t count,
                          uint64_t *total) {
    uint64_t size = generation->info.size, extents = 0;
    *total = 0;
    for (size_t index = 0; index < count; index++) {
        const struct pr_segment *segment = &segments[index];
        bool inside = segment->offset < size && segment->length <= size - segment->offset;
        if (segment->length == 0 || (!segment->literal && !inside)) return -ERANGE;
        if (!segment->literal) extents++;
        *total += segment->length;
    }
    return extents > 0 ? 0 : -ERANGE;
}

static size_t literal_bytes(const struct pr_segment *segments, size_t count) {
    size_t bytes = 0;
    for (size_t index = 0; index < count; index++)
        if (segments[index].literal) bytes += (size_t)segments[index].length;
    return bytes;
}

struct pr_transmission *pr_hold_new(enum pr_engine engine, const struct pr_segment *segments, size_t count) {
    size_t size = sizeof(struct pr_transmission) + count * sizeof *segments + literal_bytes(segments, count);
    struct pr_transmission *transmission = pr_allocate(1, size);
    if (!transmission) return NULL;
    transmission->state = PR_HELD;
    transmission->engine = engine;
    transmission->segment_count = count;
    transmission->held_since = pr_now();
    transmission->peer_kind = PR_PEER_UNASKABLE;
    memcpy(transmission->segments, segments, count * sizeof *segments);
    char *literals = (char *)&transmission->segments[count];
    for (size_t index = 0; index < count; index++) {
        if (!segments[index].literal) continue;
        memcpy(literals, segments[index].literal, (size_t)segments[index].length);
        transmission->segments[index].literal = literals;
        literals += segments[index].length;
    }
    pr_list_init(&transmission->reference);
    pr_list_init(&transmission->undone);
    return transmission;
}

/*
 * The extents that are not given back, one after the other: bytes of the generation, half-open. Begin with `index` and
 * `before` 0; false after the last.
 */
struct held {
    size_t index;
    uint64_t before; /* bytes of the body in front of this segment */
    uint64_t first, end;
};

static bool next_held(const struct pr_transmission *transmission, struct held *held) {
    while (held->index < transmission->segment_count && held->before < transmission->total) {
        const struct pr_segment *segment = &transmission->segments[held->index++];
        uint64_t from = transmission->released > held->before ? transmission->released - held->before : 0;
        uint64_t left = transmission->total - held->before, to = left < segment->length ? left : segment->length;
        held->before += segment->length;
        if (segment->literal || from >= to) continue;
        held->first = segment->offset + from;
        held->end = segment->offset + to;
        return true;
    }
    return false;
}

static uint64_t pages_held(const struct pr_transmission *transmission) {
    uint64_t page = transmission->generation->info.backing.page_size, pages = 0;
    for (struct held held = {0}; next_held(transmission, &held);)
        pages += (held.end - 1) / page - held.first / page + 1;
    return pages;
}

static void count_pages(struct pr_transmission *transmission) {
    uint64_t pages = pages_held(transmission);
    transmission->generation->relay->counters.held_pages += pages - transmission->pages;
    transmission->pages = pages;
}

/* Under the lock. */
static int enter(struct pr_relay *relay, struct pr_generation *generation, struct pr_transmission *transmission) {
    int result = transmission->engine == PR_ENGINE_SPLICE ? pr_pipe_take(&relay->pipes, &transmission->pipe) : 0;
    if (result < 0) return result;
    result = pr_slots_add(&relay->slots, PR_KIND_TRANSMISSION, transmission, &transmission->id);
    if (result < 0) {
        if (transmission->pipe) pr_pipe_give(&relay->pipes, transmission->pipe);
        return result;
    }
    transmission->generation = generation;
    pr_list_append(&generation->inode->references, &transmission->reference);
    generation->holds++;
    relay->counters.references++;
    relay->counters.held_bytes += transmission->total;
    relay->counters.by_state[transmission->state]++;
    count_pages(transmission);
    return 0;
}

/* Under the lock. */
static int take(struct pr_relay *relay, struct pr_generation *generation, uint64_t epoch, uint64_t version,
                const struct pr_claim *place, struct pr_transmission *transmission) {
    if (!generation) return -EBADF;
    const struct pr_segment *segments = transmission->segments;
    size_t count = transmission->segment_count;
    const struct pr_inode *inode = generation->inode;
    bool usable = place && place->granted && place->generation->inode == inode;
    if (generation->closed || inode->epoch != epoch || inode->version != version) return -ESTALE;
    int result = check_segments(generation, segments, count, &transmission->total);
    if (result == 0 && !pr_pages_free(generation, usable ? place : NULL, segments, count)) result = -EAGAIN;
    /* Its own, and what pr_send asks for: that must not fail for want of memory when a head is half out. */
    if (result == 0) result = pr_events_reserve(relay, 3);
    return result == 0 ? enter(relay, generation, transmission) : result;
}

int pr_hold(struct pr_relay *relay, uint64_t generation_id, uint64_t epoch, uint64_t version, enum pr_engine engine,
            uint64_t place_id, const struct pr_segment *segments, size_t count, uint64_t *id) {
    int result = pr_generation_check(relay, generation_id);
    struct pr_transmission *transmission = result == 0 ? pr_hold_new(engine, segments, count) : NULL;
    if (result == 0 && !transmission) result = -ENOMEM;
    pr_lock(relay);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, generation_id);
    struct pr_claim *place = pr_slots_find(&relay->slots, PR_KIND_CLAIM, place_id);
    if (place && place->writer) place = NULL;
    if (result == 0) result = take(relay, generation, epoch, version, place, transmission);
    if (result == 0) *id = transmission->id;
    if (place && result != -ESTALE && result != -EAGAIN) pr_claim_end(place); /* now that the reference is there */
    pr_unlock(relay);
    if (result < 0) pr_free(transmission);
    return result;
}

int pr_hold_take(struct pr_relay *relay, const struct pr_grant *grant, struct pr_transmission *transmission) {
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, grant->generation);
    return take(relay, generation, grant->epoch, grant->version, NULL, transmission);
}

/* Giving back. */

/* How much of the body can be given back when its first `done` bytes are done: a page counts only as a whole. */
static uint64_t releasable(const struct pr_transmission *transmission, uint64_t done) {
    uint64_t page = transmission->generation->info.backing.page_size, before = 0;
    if (done >= transmission->total) return transmission->total;
    for (size_t index = 0; index < transmission->segment_count; index++) {
        const struct pr_segment *segment = &transmission->segments[index];
        if (done >= before + segment->length) {
            before += segment->length;
            continue;
        }
        if (segment->literal) return done;
        uint64_t inside = done - before, tail = (segment->offset + inside) % page;
        return tail < inside ? done - tail : before;
    }
    return transmission->total;
}

static void give_back(struct pr_transmission *transmission, uint64_t bytes) {
    struct pr_counters *counters = &transmission->generation->relay->counters;
    counters->held_bytes -= bytes;
    if (transmission->state == PR_QUARANTINED) counters->quarantined_bytes -= bytes;
}

/* How many of `bytes` bytes of the body, from its position `from`, are the region's. */
static uint64_t extent_bytes(const struct pr_transmission *transmission, uint64_t from, uint64_t bytes) {
    uint64_t before = 0, end = from + bytes, count = 0;
    for (size_t index = 0; index < transmission->segment_count && before < end; index++) {
        const struct pr_segment *segment = &transmission->segments[index];
        uint64_t first = before > from ? before : from, last = before + segment->length;
        if (last > end) last = end;
        if (!segment->literal && last > first) count += last - first;
        before += segment->length;
    }
    return count;
}

static enum pr_locality locality_of(const struct pr_transmission *transmission) {
    int node = transmission->generation->info.backing.node;
    if (!transmission->connection || node < 0) return PR_LOCALITY_UNKNOWN;
    return transmission->connection->lane->node == node ? PR_LOCALITY_LOCAL : PR_LOCALITY_REMOTE;
}

void pr_hold_sent(struct pr_transmission *transmission, uint64_t bytes, bool copied) {
    struct pr_counters *counters = &transmission->generation->relay->counters;
    if (copied || pr_engine_copies(transmission->engine, transmission->generation))
        counters->copied_bytes[transmission->engine] += extent_bytes(transmission, transmission->sent, bytes);
    else if (transmission->engine != PR_ENGINE_ZEROCOPY)
        counters->uncopied_bytes[transmission->engine] += extent_bytes(transmission, transmission->sent, bytes);
    counters->sent_bytes[transmission->engine] += bytes;
    counters->bytes_by_locality[locality_of(transmission)] += bytes;
    transmission->sent += bytes;
    pr_claims_settle_sent(transmission->generation->inode);
}

void pr_hold_shrink(struct pr_transmission *transmission, uint64_t done) {
    uint64_t released = releasable(transmission, done);
    if (released <= transmission->released) return;
    give_back(transmission, released - transmission->released);
    transmission->released = released;
    count_pages(transmission);
    pr_claims_settle(transmission->generation->inode);
}

void pr_hold_cut(struct pr_transmission *transmission) {
    give_back(transmission, transmission->total - transmission->sent);
    transmission->total = transmission->sent;
    count_pages(transmission);
    pr_claims_settle(transmission->generation->inode);
}

static void count_duration(const struct pr_transmission *transmission, uint64_t now, uint64_t *by_time, double *sum) {
    static const double bounds[] = PR_HOLD_BOUNDS;
    _Static_assert(sizeof bounds / sizeof *bounds == PR_HOLD_BUCKETS - 1, "one bucket has no bound");
    double seconds = (double)(now - transmission->held_since) / 1e9;
    size_t bucket = 0;
    while (bucket < PR_HOLD_BUCKETS - 1 && seconds > bounds[bucket]) bucket++;
    by_time[bucket]++;
    *sum += seconds;
}

void pr_hold_state(struct pr_transmission *transmission, enum pr_state state) {
    _Static_assert(PR_QUARANTINED + 1 == PR_TRANSMISSION_STATES, "each is counted");
    uint64_t *by_state = transmission->generation->relay->counters.by_state;
    by_state[transmission->state]--;
    by_state[state]++;
    transmission->state = state;
}

void pr_hold_acknowledged(struct pr_transmission *transmission, uint64_t now) {
    struct pr_durations *acknowledged = &transmission->generation->relay->counters.acknowledged;
    transmission->acknowledged = true;
    count_duration(transmission, now, acknowledged->by_time, &acknowledged->seconds);
}

void pr_hold_drop(struct pr_transmission *transmission, uint64_t now) {
    struct pr_generation *generation = transmission->generation;
    struct pr_relay *relay = generation->relay;
    give_back(transmission, transmission->total - transmission->released);
    relay->counters.references--;
    if (transmission->state == PR_QUARANTINED) relay->counters.quarantined--;
    relay->counters.by_state[transmission->state]--;
    relay->counters.held_pages -= transmission->pages;
    count_duration(transmission, now, relay->counters.holds_by_time, &relay->counters.hold_seconds);
    pr_list_remove(&transmission->reference);
    pr_list_remove(&transmission->undone);
    pr_slots_remove(&relay->slots, transmission->id);
    pr_give_pipe_back(transmission);
    pr_file_window_close(&transmission->window);
    pr_free(transmission->kept_head);
    pr_free(transmission);
    generation->holds--;
    pr_claims_settle(generation->inode);
    pr_generation_settle(generation);
}

void pr_hold_quarantine(struct pr_transmission *transmission) {
    struct pr_relay *relay = transmission->generation->relay;
    pr_hold_state(transmission, PR_QUARANTINED);
    if (transmission->connection)
        pr_peer_name(&transmission->connection->peer, transmission->peer, sizeof transmission->peer);
    transmission->connection = NULL;
    relay->counters.quarantined++;
    relay->counters.quarantined_bytes += transmission->total - transmission->released;
    pr_list_remove(&transmission->undone);
    pr_list_append(&relay->quarantined, &transmission->undone);
    pr_claims_settle(transmission->generation->inode);
}

void pr_count_outcome(struct pr_transmission *transmission, enum pr_outcome outcome, uint64_t now) {
    struct pr_counters *counters = &transmission->generation->relay->counters;
    counters->transmissions[transmission->engine][outcome]++;
    if (outcome == PR_OUTCOME_COMPLETE)
        count_duration(transmission, now, counters->accepted.by_time, &counters->accepted.seconds);
}

/* For transmissions that no connection carries. */

static struct pr_transmission *unconnected(struct pr_relay *relay, uint64_t id) {
    struct pr_transmission *transmission = pr_slots_find(&relay->slots, PR_KIND_TRANSMISSION, id);
    return transmission && transmission->state == PR_HELD ? transmission : NULL;
}

int pr_change_to_stream(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_transmission *transmission = unconnected(relay, id);
    if (transmission) {
        pr_give_pipe_back(transmission);
        transmission->engine = PR_ENGINE_STREAM;
    }
    pr_unlock(relay);
    return transmission ? 0 : -EBADF;
}

int pr_advance(struct pr_relay *relay, uint64_t id, uint64_t bytes) {
    pr_lock(relay);
    struct pr_transmission *transmission = unconnected(relay, id);
    int result = !transmission ? -EBADF : bytes > transmission->total - transmission->sent ? -ERANGE : 0;
    if (result == 0) {
        pr_hold_sent(transmission, bytes, false);
        pr_hold_shrink(transmission, transmission->sent);
    }
    pr_unlock(relay);
    return result;
}

int pr_release(struct pr_relay *relay, uint64_t id, enum pr_outcome outcome) {
    pr_lock(relay);
    struct pr_transmission *transmission = unconnected(relay, id);
    uint64_t now = pr_now();
    if (transmission) {
        pr_count_outcome(transmission, outcome, now);
        pr_hold_drop(transmission, now);
    }
    pr_unlock(relay);
    return transmission ? 0 : -EBADF;
}

void pr_hold_range(const struct pr_transmission *transmission, uint64_t *first, uint64_t *last) {
    *first = UINT64_MAX;
    *last = 0;
    for (struct held held = {0}; next_held(transmission, &held);) {
        if (held.first < *first) *first = held.first;
        if (held.end - 1 > *last) *last = held.end - 1;
    }
    if (*first > *last) *first = *last;
}
