#include "pages/verdict.h"

#include "pages/generation.h"
#include "pages/reference.h"

struct pr_pages pr_pages_of(const struct pr_generation *generation, uint64_t offset, uint64_t length) {
    uint64_t page = generation->info.backing.page_size, last = offset + (length - 1);
    if (length == 0 || last < offset) last = UINT64_MAX; /* no end */
    uint64_t end = last - last % page;
    return (struct pr_pages){.first = offset - offset % page, .end = end > UINT64_MAX - page ? UINT64_MAX : end + page};
}

static bool overlap(const struct pr_pages *one, const struct pr_pages *other) {
    return one->first < other->end && other->first < one->end;
}

static bool claims_overlap(const struct pr_claim *one, const struct pr_claim *other) {
    for (size_t a = 0; a < one->count; a++)
        for (size_t b = 0; b < other->count; b++)
            if (overlap(&one->pages[a], &other->pages[b])) return true;
    return false;
}

static bool claim_covers(const struct pr_claim *claim, const struct pr_pages *pages) {
    for (size_t index = 0; index < claim->count; index++)
        if (claim->pages[index].first <= pages->first && pages->end <= claim->pages[index].end) return true;
    return false;
}

/* References in a writer's way. */

/* The byte of the body from which on a writer has to wait for it. */
static uint64_t waited_from(const struct pr_reference *reference, enum pr_needs needs) {
    if (needs == PR_NEEDS_NOTHING) return reference->total;
    if (needs == PR_NEEDS_DONE) return reference->released;
    bool sending = reference->state == PR_HELD || reference->state == PR_SENDING;
    return sending ? reference->sent : reference->total;
}

static bool is_in_the_way(const struct pr_reference *reference, const struct pr_claim *writer) {
    uint64_t from = waited_from(reference, writer->needs), before = 0;
    for (size_t index = 0; index < reference->segment_count && before < reference->total; index++) {
        const struct pr_segment *segment = &reference->segments[index];
        uint64_t left = reference->total - before, to = left < segment->length ? left : segment->length;
        uint64_t skip = from > before ? from - before : 0;
        before += segment->length;
        if (segment->literal || skip >= to) continue;
        struct pr_pages held = pr_pages_of(reference->generation, segment->offset + skip, to - skip);
        if (overlap(&held, &writer->pages[0])) return true;
    }
    return false;
}

/* Those that one part has of one generation; or what was found before, where that is worse. */
static enum pr_verdict held_in_the_way(const struct pr_held *held, const struct pr_claim *writer,
                                       enum pr_verdict verdict) {
    pr_list_each(node, &held->references) {
        const struct pr_reference *reference = pr_container(node, struct pr_reference, references);
        if (verdict == PR_PAGES_QUARANTINED) break;
        if (is_in_the_way(reference, writer))
            verdict = reference->state == PR_QUARANTINED ? PR_PAGES_QUARANTINED : PR_PAGES_HELD;
    }
    return verdict;
}

/* Visits every part, whose locks the caller has: no reference is being taken anywhere. */
static enum pr_verdict references_in_the_way(const struct pr_claim *writer) {
    enum pr_verdict verdict = PR_PAGES_FREE;
    if (writer->needs == PR_NEEDS_NOTHING) return PR_PAGES_FREE;
    pr_list_each(node, &writer->generation->inode->generations) {
        const struct pr_generation *generation = pr_container(node, struct pr_generation, of_inode);
        for (unsigned part = 0; part < generation->relay->part_count; part++)
            verdict = held_in_the_way(&generation->held[part], writer, verdict);
    }
    return verdict;
}

bool pr_is_waited_for(const struct pr_reference *reference) {
    pr_list_each(node, &reference->generation->inode->claims) {
        const struct pr_claim *claim = pr_container(node, struct pr_claim, queue);
        if (claim->writer && !claim->granted && is_in_the_way(reference, claim)) return true;
    }
    return false;
}

static bool earlier_in_the_way(const struct pr_claim *claim) {
    pr_list_each(node, &claim->generation->inode->claims) {
        const struct pr_claim *earlier = pr_container(node, struct pr_claim, queue);
        if (earlier == claim) return false;
        if ((earlier->writer || claim->writer) && claims_overlap(earlier, claim)) return true;
    }
    return false;
}

enum pr_verdict pr_claim_judge(const struct pr_claim *claim) {
    if (earlier_in_the_way(claim)) return PR_PAGES_HELD;
    return claim->writer ? references_in_the_way(claim) : PR_PAGES_FREE;
}

bool pr_pages_free(const struct pr_generation *generation, const struct pr_claim *place,
                   const struct pr_segment *segments, size_t count) {
    if (pr_list_empty(&generation->inode->claims)) return true;
    for (size_t index = 0; index < count; index++) {
        if (segments[index].literal) continue;
        struct pr_pages wanted = pr_pages_of(generation, segments[index].offset, segments[index].length);
        if (place && claim_covers(place, &wanted)) continue;
        pr_list_each(node, &generation->inode->claims) {
            const struct pr_claim *claim = pr_container(node, struct pr_claim, queue);
            if (claim->writer && overlap(&claim->pages[0], &wanted)) return false;
        }
    }
    return true;
}
