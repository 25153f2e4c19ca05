#include "pages/reference.h"

#include <errno.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/shared.h"

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

void pr_reference_init(struct pr_reference *reference, const struct pr_segment *segments, size_t count) {
    *reference = (struct pr_reference){.state = PR_HELD, .segments = segments, .segment_count = count};
    reference->held_since = pr_now();
    pr_list_init(&reference->references);
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

static bool next_held(const struct pr_reference *reference, struct held *held) {
    while (held->index < reference->segment_count && held->before < reference->total) {
        const struct pr_segment *segment = &reference->segments[held->index++];
        uint64_t from = reference->released > held->before ? reference->released - held->before : 0;
        uint64_t left = reference->total - held->before, to = left < segment->length ? left : segment->length;
        held->before += segment->length;
        if (segment->literal || from >= to) continue;
        held->first = segment->offset + from;
        held->end = segment->offset + to;
        return true;
    }
    return false;
}

static uint64_t pages_held(const struct pr_reference *reference) {
    uint64_t page = reference->generation->info.backing.page_size, pages = 0;
    for (struct held held = {0}; next_held(reference, &held);) pages += (held.end - 1) / page - held.first / page + 1;
    return pages;
}

static void count_pages(struct pr_reference *reference) {
    uint64_t pages = pages_held(reference);
    reference->part->counters.held_pages += pages - reference->pages;
    reference->pages = pages;
}

int pr_reference_check(struct pr_reference *reference, const struct pr_generation *generation, uint64_t epoch,
                       uint64_t version, const struct pr_claim *place) {
    if (!generation) return -EBADF;
    const struct pr_segment *segments = reference->segments;
    size_t count = reference->segment_count;
    const struct pr_inode *inode = generation->inode;
    bool usable = place && place->granted && place->generation->inode == inode;
    if (generation->closed || inode->epoch != epoch || inode->version != version) return -ESTALE;
    int result = check_segments(generation, segments, count, &reference->total);
    if (result < 0) return result;
    return pr_pages_free(generation, usable ? place : NULL, segments, count) ? 0 : -EAGAIN;
}

void pr_reference_take(struct pr_reference *reference, struct pr_generation *generation, struct pr_part *part) {
    struct pr_counters *counters = &part->counters;
    reference->generation = generation;
    reference->part = part;
    pr_list_append(&generation->held[part->index].references, &reference->references);
    counters->references++;
    counters->held_bytes += reference->total;
    counters->by_state[reference->state]++;
    count_pages(reference);
}

void pr_reference_move(struct pr_reference *reference, struct pr_part *part) {
    pr_list_remove(&reference->references);
    pr_list_append(&reference->generation->held[part->index].references, &reference->references);
    reference->part = part;
}

/* Giving back. */

/* What a writer waits for, or a generation that is closed, is looked at under all locks. */
static void unsettle(struct pr_reference *reference, unsigned waiting) {
    if (waiting > 0) reference->part->unsettled = true;
}

static void check_order(const struct pr_reference *reference) {
    pr_assert(reference->released <= reference->sent && reference->sent <= reference->total);
}

/* How much of the body can be given back when its first `done` bytes are done: a page counts only as a whole. */
static uint64_t releasable(const struct pr_reference *reference, uint64_t done) {
    uint64_t page = reference->generation->info.backing.page_size, before = 0;
    if (done >= reference->total) return reference->total;
    for (size_t index = 0; index < reference->segment_count; index++) {
        const struct pr_segment *segment = &reference->segments[index];
        if (done >= before + segment->length) {
            before += segment->length;
            continue;
        }
        if (segment->literal) return done;
        uint64_t inside = done - before, tail = (segment->offset + inside) % page;
        return tail < inside ? done - tail : before;
    }
    return reference->total;
}

static void count_given_back(struct pr_reference *reference, uint64_t bytes) {
    struct pr_counters *counters = &reference->part->counters;
    counters->held_bytes -= bytes;
    if (reference->state == PR_QUARANTINED) counters->quarantined_bytes -= bytes;
}

uint64_t pr_reference_extent_bytes(const struct pr_reference *reference, uint64_t from, uint64_t bytes) {
    uint64_t before = 0, end = from + bytes, count = 0;
    for (size_t index = 0; index < reference->segment_count && before < end; index++) {
        const struct pr_segment *segment = &reference->segments[index];
        uint64_t first = before > from ? before : from, last = before + segment->length;
        if (last > end) last = end;
        if ((!segment->literal || segment->kept) && last > first) count += last - first;
        before += segment->length;
    }
    return count;
}

void pr_reference_sent(struct pr_reference *reference, uint64_t bytes) {
    reference->sent += bytes;
    check_order(reference);
    unsettle(reference, reference->generation->inode->waiting_for_sockets);
}

void pr_reference_shrink(struct pr_reference *reference, uint64_t done) {
    uint64_t released = releasable(reference, done);
    if (released <= reference->released) return;
    count_given_back(reference, released - reference->released);
    reference->released = released;
    check_order(reference);
    count_pages(reference);
    pr_admission_shrink(reference);
    unsettle(reference, reference->generation->inode->waiting_writers);
}

void pr_reference_point(struct pr_reference *reference, const struct pr_segment *segments, size_t count) {
    reference->segments = segments;
    reference->segment_count = count;
    count_pages(reference);
    unsettle(reference, reference->generation->inode->waiting_writers);
}

void pr_reference_cut(struct pr_reference *reference) {
    count_given_back(reference, reference->total - reference->sent);
    reference->total = reference->sent;
    check_order(reference);
    count_pages(reference);
    pr_admission_shrink(reference);
    unsettle(reference, reference->generation->inode->waiting_writers);
}

void pr_reference_count_duration(const struct pr_reference *reference, uint64_t now, struct pr_durations *durations) {
    static const double bounds[] = PR_HOLD_BOUNDS;
    _Static_assert(sizeof bounds / sizeof *bounds == PR_HOLD_BUCKETS - 1, "one bucket has no bound");
    double seconds = (double)(now - reference->held_since) / 1e9;
    size_t bucket = 0;
    while (bucket < PR_HOLD_BUCKETS - 1 && seconds > bounds[bucket]) bucket++;
    durations->by_time[bucket]++;
    durations->seconds += seconds;
}

void pr_reference_state(struct pr_reference *reference, enum pr_state state) {
    _Static_assert(PR_QUARANTINED + 1 == PR_TRANSMISSION_STATES, "each is counted");
    uint64_t *by_state = reference->part->counters.by_state;
    by_state[reference->state]--;
    by_state[state]++;
    reference->state = state;
}

void pr_reference_quarantine(struct pr_reference *reference) {
    struct pr_counters *counters = &reference->part->counters;
    pr_reference_state(reference, PR_QUARANTINED);
    counters->quarantined++;
    counters->quarantined_bytes += reference->total - reference->released;
    pr_admission_end(reference); /* it may last as long as the relay, and has gauges of its own */
    unsettle(reference, reference->generation->inode->waiting_writers);
}

void pr_reference_give(struct pr_reference *reference, uint64_t now) {
    const struct pr_generation *generation = reference->generation;
    struct pr_counters *counters = &reference->part->counters;
    count_given_back(reference, reference->total - reference->released);
    counters->references--;
    if (reference->state == PR_QUARANTINED) counters->quarantined--;
    counters->by_state[reference->state]--;
    counters->held_pages -= reference->pages;
    pr_reference_count_duration(reference, now, &counters->holds);
    pr_admission_end(reference);
    pr_list_remove(&reference->references);
    unsettle(reference, generation->inode->waiting_writers + generation->closed);
}

bool pr_is_any_held(const struct pr_relay *relay) {
    uint64_t held = 0; /* one that was moved is counted where it was taken, and discounted where it is given back */
    for (unsigned part = 0; part < relay->part_count; part++) held += relay->parts[part].counters.references;
    return held > 0;
}

void pr_reference_range(const struct pr_reference *reference, uint64_t *first, uint64_t *last) {
    *first = UINT64_MAX;
    *last = 0;
    for (struct held held = {0}; next_held(reference, &held);) {
        if (held.first < *first) *first = held.first;
        if (held.end - 1 > *last) *last = held.end - 1;
    }
    if (*first > *last) *first = *last;
}
