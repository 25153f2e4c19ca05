#include "wire/hold.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "base/sys.h"
#include "pages/current.h"
#include "wire/connection.h"
#include "wire/engine.h"
#include "wire/keep.h"
#include "wire/layer.h"

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
    transmission->engine = engine;
    transmission->peer_kind = PR_PEER_UNASKABLE;
    memcpy(transmission->segments, segments, count * sizeof *segments);
    char *literals = (char *)&transmission->segments[count];
    for (size_t index = 0; index < count; index++) {
        if (!segments[index].literal) continue;
        memcpy(literals, segments[index].literal, (size_t)segments[index].length);
        transmission->segments[index].literal = literals;
        literals += segments[index].length;
    }
    pr_reference_init(&transmission->reference, transmission->segments, count);
    pr_list_init(&transmission->undone);
    return transmission;
}

/* What a lane may not take is Node's to refuse. */
static int refuse_reference(struct pr_part *part, enum pr_limited limited) {
    if (part->index == 0) part->counters.limited[limited]++;
    return -ETOOMANYREFS;
}

/* All that can fail, under the lock in which the reference is taken. */
static int prepare(struct pr_part *part, const struct pr_generation *generation, uint64_t epoch, uint64_t version,
                   const struct pr_claim *place, struct pr_transmission *transmission) {
    int result = pr_reference_check(&transmission->reference, generation, epoch, version, place);
    if (result < 0) return result;
    enum pr_limited limited = pr_admit(&transmission->reference, part);
    if (limited != PR_LIMITED_COUNT) return refuse_reference(part, limited);
    if (transmission->engine != PR_ENGINE_SPLICE) return 0;
    result = pr_pipe_take(&pr_wire_part(part)->pipes, &transmission->pipe);
    if (result < 0) pr_admission_end(&transmission->reference);
    return result;
}

/* It can be found by its id, and tell that it is unwanted, until a connection carries it. */
static int enter_held(struct pr_relay *relay, struct pr_transmission *transmission) {
    int result = pr_events_promise(relay, 1);
    if (result < 0) return result;
    /* What pr_send asks for: that must not fail for want of memory when a head is half out. */
    result = pr_events_reserve(relay, 2);
    if (result == 0) result = pr_slots_add(&relay->wire->held, PR_KIND_TRANSMISSION, transmission, &transmission->id);
    if (result < 0) pr_events_forgo(relay, 1);
    transmission->tells = result == 0;
    return result;
}

/* Under Node's lock, or with a place in the queue under all. */
static int take_for_node(struct pr_relay *relay, struct pr_generation *generation, uint64_t epoch, uint64_t version,
                         const struct pr_claim *place, struct pr_transmission *transmission) {
    struct pr_part *part = pr_node_part(relay);
    int result = prepare(part, generation, epoch, version, place, transmission);
    if (result < 0) return result;
    result = enter_held(relay, transmission);
    if (result == 0) {
        pr_reference_take(&transmission->reference, generation, part);
        return 0;
    }
    pr_admission_end(&transmission->reference);
    if (transmission->pipe) pr_pipe_give(transmission->pipe);
    return result;
}

/* `result` is that of a look at the file. */
static int hold(struct pr_relay *relay, uint64_t generation_id, uint64_t epoch, uint64_t version, enum pr_engine engine,
                uint64_t place_id, const struct pr_segment *segments, size_t count, uint64_t *id, int result) {
    struct pr_part *part = pr_node_part(relay);
    struct pr_transmission *transmission = result == 0 ? pr_hold_new(engine, segments, count) : NULL;
    if (result == 0 && !transmission) result = -ENOMEM;
    place_id ? pr_lock(relay) : pr_lock_part(part);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, generation_id);
    struct pr_claim *place = pr_place_find(relay, place_id);
    if (result == 0) result = take_for_node(relay, generation, epoch, version, place, transmission);
    if (result == 0) *id = transmission->id;
    if (place && result != -ESTALE && result != -EAGAIN) pr_claim_end(place); /* now that the reference is there */
    place_id ? pr_unlock(relay) : pr_unlock_part(part);
    if (result < 0) pr_free(transmission);
    return result;
}

int pr_hold(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version, enum pr_engine engine,
            uint64_t place, const struct pr_segment *segments, size_t count, uint64_t *id) {
    int look = pr_generation_check(relay, generation);
    return hold(relay, generation, epoch, version, engine, place, segments, count, id, look);
}

int pr_hold_in_place(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version,
                     enum pr_engine engine, uint64_t place, const struct pr_segment *segments, size_t count,
                     uint64_t *id) {
    int look = pr_generation_is_in_place(relay, generation);
    if (look >= 0) look = look == 1 ? 0 : -ESTALE;
    return hold(relay, generation, epoch, version, engine, place, segments, count, id, look);
}

/* Such an id is never one of a slot, by its kind, and unlike any other of this lane's for 2^43 answers. */
static uint64_t id_of_lanes_own(const struct pr_part *part) {
    enum { INDEX_BITS = 20, KIND_BITS = 3, LOW_BITS = 14, SERIAL_BITS = 29, NO_KIND = 7 };
    uint64_t count = ++pr_wire_part(part)->begun, low = count & ((1u << LOW_BITS) - 1);
    uint64_t serial = count >> LOW_BITS & ((1u << SERIAL_BITS) - 1);
    return serial << (KIND_BITS + INDEX_BITS) | (uint64_t)NO_KIND << INDEX_BITS | (uint64_t)part->index << LOW_BITS |
           low;
}

int pr_hold_take(struct pr_part *part, uint64_t generation_id, uint64_t epoch, uint64_t version,
                 struct pr_transmission *transmission) {
    struct pr_generation *generation = pr_slots_find(&part->relay->slots, PR_KIND_GENERATION, generation_id);
    int result = prepare(part, generation, epoch, version, NULL, transmission);
    if (result < 0) return result;
    transmission->id = id_of_lanes_own(part);
    pr_reference_take(&transmission->reference, generation, part);
    return 0;
}

void pr_hold_move(struct pr_transmission *transmission, struct pr_part *part) {
    if (transmission->reference.part == part) return;
    pr_slots_remove(&part->relay->wire->held, transmission->id);
    pr_reference_move(&transmission->reference, part);
}

static enum pr_locality locality_of(const struct pr_transmission *transmission) {
    int node = transmission->reference.generation->info.backing.node;
    if (!transmission->connection || node < 0) return PR_LOCALITY_UNKNOWN;
    return transmission->connection->poller->node == node ? PR_LOCALITY_LOCAL : PR_LOCALITY_REMOTE;
}

void pr_hold_sent(struct pr_transmission *transmission, uint64_t bytes, bool copied) {
    struct pr_counters *counters = &transmission->reference.part->counters;
    const struct pr_reference *reference = &transmission->reference;
    uint64_t of_region = pr_reference_extent_bytes(reference, reference->sent, bytes);
    if (copied || pr_engine_copies(transmission->engine, transmission->reference.generation))
        counters->copied_bytes[transmission->engine] += of_region;
    else if (transmission->engine != PR_ENGINE_ZEROCOPY)
        counters->uncopied_bytes[transmission->engine] += of_region;
    counters->sent_bytes[transmission->engine] += bytes;
    counters->sends[transmission->engine]++;
    counters->bytes_by_locality[locality_of(transmission)] += bytes;
    pr_reference_sent(&transmission->reference, bytes);
}

void pr_hold_acknowledged(struct pr_transmission *transmission, uint64_t now) {
    transmission->acknowledged = true;
    pr_reference_count_duration(&transmission->reference, now, &transmission->reference.part->counters.acknowledged);
}

void pr_hold_drop(struct pr_transmission *transmission, uint64_t now) {
    struct pr_part *part = transmission->reference.part;
    pr_list_remove(&transmission->undone);
    if (part->index == 0) pr_slots_remove(&part->relay->wire->held, transmission->id);
    if (transmission->tells) pr_events_forgo(part->relay, 1);
    pr_give_pipe_back(transmission);
    pr_file_window_close(&transmission->window);
    pr_give_all_kept(transmission);
    pr_reference_give(&transmission->reference, now);
    pr_free(transmission->split);
    pr_free(transmission->kept_head);
    pr_free(transmission);
}

void pr_hold_quarantine(struct pr_transmission *transmission) {
    if (transmission->connection)
        pr_peer_name(&transmission->connection->peer, transmission->peer, sizeof transmission->peer);
    transmission->connection = NULL;
    pr_list_remove(&transmission->undone);
    pr_list_append(&pr_wire_part(transmission->reference.part)->quarantined, &transmission->undone);
    pr_reference_quarantine(&transmission->reference);
}

void pr_count_outcome(struct pr_transmission *transmission, enum pr_outcome outcome, uint64_t now) {
    struct pr_counters *counters = &transmission->reference.part->counters;
    counters->transmissions[transmission->engine][outcome]++;
    if (outcome == PR_OUTCOME_COMPLETE) pr_reference_count_duration(&transmission->reference, now, &counters->accepted);
}

/* For transmissions that no connection carries. */

static struct pr_transmission *unconnected(struct pr_relay *relay, uint64_t id) {
    return pr_slots_find(&relay->wire->held, PR_KIND_TRANSMISSION, id);
}

int pr_change_to_stream(struct pr_relay *relay, uint64_t id) {
    pr_lock_part(pr_node_part(relay));
    struct pr_transmission *transmission = unconnected(relay, id);
    if (transmission) {
        pr_give_pipe_back(transmission);
        transmission->engine = PR_ENGINE_STREAM;
    }
    pr_unlock_part(pr_node_part(relay));
    return transmission ? 0 : -EBADF;
}

int pr_advance(struct pr_relay *relay, uint64_t id, uint64_t bytes) {
    pr_lock_part(pr_node_part(relay));
    struct pr_transmission *transmission = unconnected(relay, id);
    int result = !transmission                                                          ? -EBADF
                 : bytes > transmission->reference.total - transmission->reference.sent ? -ERANGE
                                                                                        : 0;
    if (result == 0) {
        pr_hold_sent(transmission, bytes, false);
        pr_reference_shrink(&transmission->reference, transmission->reference.sent);
    }
    pr_unlock_part(pr_node_part(relay));
    return result;
}

int pr_release(struct pr_relay *relay, uint64_t id, enum pr_outcome outcome) {
    pr_lock_part(pr_node_part(relay));
    struct pr_transmission *transmission = unconnected(relay, id);
    uint64_t now = pr_now();
    if (transmission) {
        pr_count_outcome(transmission, outcome, now);
        pr_hold_drop(transmission, now);
    }
    pr_unlock_part(pr_node_part(relay));
    return transmission ? 0 : -EBADF;
}
