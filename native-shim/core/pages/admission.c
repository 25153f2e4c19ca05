#include "pages/admission.h"

#include "base/shared.h"
#include "pages/reference.h"

/* Of a body that is larger no more counts than that: it goes out when little else is held. */
static uint64_t most_of_one(const struct pr_limits *limits) {
    return limits->held_bytes / 2 > 0 ? limits->held_bytes / 2 : 1;
}

/* Those of the relay: they are alike for all places. */
static const struct pr_limits *limits_of_all(const struct pr_part *part) {
    return &part->relay->limits[PR_ELSEWHERE];
}

static bool admit_one(struct pr_part *part) {
    struct pr_relay *relay = part->relay;
    return pr_share_take(&part->transmissions, &relay->transmissions, limits_of_all(part)->transmissions,
                         relay->part_count, 1);
}

static bool admit_bytes(struct pr_part *part, uint64_t bytes) {
    struct pr_relay *relay = part->relay;
    return pr_share_take(&part->held_bytes, &relay->held_bytes, limits_of_all(part)->held_bytes, relay->part_count,
                         bytes);
}

enum pr_limited pr_admit(struct pr_reference *reference, struct pr_part *part) {
    const struct pr_limits *limits = limits_of_all(part);
    if (limits->transmissions > 0 && !admit_one(part)) return PR_LIMITED_TRANSMISSIONS;
    reference->part = part;
    reference->admission.counts = limits->transmissions > 0;
    if (limits->held_bytes == 0) return PR_LIMITED_COUNT;
    uint64_t most = most_of_one(limits), bytes = reference->total < most ? reference->total : most;
    if (!admit_bytes(part, bytes)) {
        pr_admission_end(reference);
        return PR_LIMITED_HELD_BYTES;
    }
    reference->admission.bytes = bytes;
    return PR_LIMITED_COUNT;
}

/* So many bytes count no more. */
static void count_fewer(struct pr_reference *reference, uint64_t bytes) {
    struct pr_part *part = reference->part;
    struct pr_relay *relay = part->relay;
    if (bytes == 0) return;
    reference->admission.bytes -= bytes;
    pr_share_give(&part->held_bytes, &relay->held_bytes, limits_of_all(part)->held_bytes, relay->part_count, bytes);
}

void pr_admission_shrink(struct pr_reference *reference) {
    uint64_t held = reference->total - reference->released, counted = reference->admission.bytes;
    count_fewer(reference, counted > held ? counted - held : 0);
}

void pr_admission_end(struct pr_reference *reference) {
    struct pr_part *part = reference->part;
    struct pr_relay *relay = part->relay;
    count_fewer(reference, reference->admission.bytes);
    if (!reference->admission.counts) return;
    reference->admission.counts = false;
    pr_share_give(&part->transmissions, &relay->transmissions, limits_of_all(part)->transmissions, relay->part_count,
                  1);
}
