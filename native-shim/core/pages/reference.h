/*
 * References: which transmission refers to which pages. One entry a transmission, in a list of its generation that one
 * part of the relay has for itself: taking and giving back is constant time, and the cost of all is that of the
 * transmissions in flight, whatever the region's size.
 *
 *   HELD ──▶ SENDING ──▶ ACCEPTED ──▶ (done) given back
 *     │         │
 *     │         └─▶ BROKEN ──▶ (done) given back
 *     │                │ sight lost: reset by us
 *     └─▶ given back   └─▶ QUARANTINED
 */
#ifndef PR_REFERENCE_H
#define PR_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "pages/admission.h"
#include "pages/claim.h"
#include "pages/generation.h"

/* What its transmission is doing. */
enum pr_state { PR_HELD, PR_SENDING, PR_ACCEPTED, PR_BROKEN, PR_QUARANTINED };

struct pr_kept;

/*
 * A piece of a body: bytes of the generation (an extent), literal bytes between them, or what the generation had in the
 * place of an extent and was kept in memory (pages/kept.h). That is literal too: no page is held for it.
 */
struct pr_segment {
    const char *literal; /* NULL for an extent */
    uint64_t offset, length;
    struct pr_kept *kept; /* that `literal` points into, or NULL */
};

struct pr_reference {
    enum pr_state state;
    struct pr_generation *generation;
    struct pr_part *part;      /* whose it is */
    struct pr_list references; /* of these two */
    size_t segment_count;
    const struct pr_segment *segments;
    uint64_t total, sent; /* bytes of the body */
    uint64_t released;    /* of them given back, from the front, by whole pages; released <= sent <= total */
    uint64_t pages;       /* that it holds */
    struct pr_admission admission;
    uint64_t held_since;    /* ns */
    uint64_t waited_for;    /* ns: how long writers have waited for its pages, all in all */
    uint64_t waited_for_at; /* ns: when one was last seen to wait */
};

/* Refers to nothing yet. The segments are the caller's, and live as long. */
void pr_reference_init(struct pr_reference *reference, const struct pr_segment *segments, size_t count);

/* The rest is under the lock of its part. */

/*
 * May it be taken? 0; -EBADF without a generation; -ESTALE when that is closed, or not at this epoch and version any
 * more; -ERANGE when an extent lies outside of it; -EAGAIN when a writer has pages of it, or waits for them. `place`
 * (may be NULL) is the caller's place in the queue.
 */
int pr_reference_check(struct pr_reference *reference, const struct pr_generation *generation, uint64_t epoch,
                       uint64_t version, const struct pr_claim *place);
void pr_reference_take(struct pr_reference *reference, struct pr_generation *generation, struct pr_part *part);
/* Under the locks of both parts: it is the other one's. */
void pr_reference_move(struct pr_reference *reference, struct pr_part *part);

void pr_reference_state(struct pr_reference *reference, enum pr_state state);
/* So many bytes more are with the socket, or were copied. */
void pr_reference_sent(struct pr_reference *reference, uint64_t bytes);
/* The first `done` bytes of the body are done: gives back the whole pages that they fill. */
void pr_reference_shrink(struct pr_reference *reference, uint64_t done);
/* The same body is made of these segments now, which hold fewer pages; they take the place of those before. */
void pr_reference_point(struct pr_reference *reference, const struct pr_segment *segments, size_t count);
/* Gives back what was never sent: the transmission was broken off. */
void pr_reference_cut(struct pr_reference *reference);
/* Nobody can tell any more when it will be done. */
void pr_reference_quarantine(struct pr_reference *reference);
/* Gives back all that is left. With the lock, leases that waited for it are granted, and its generation may go. */
void pr_reference_give(struct pr_reference *reference, uint64_t now);

/* Under all locks: whether any page of any generation is held. */
bool pr_is_any_held(const struct pr_relay *relay);

/* The first byte still held, and the last: offsets in the generation. */
void pr_reference_range(const struct pr_reference *reference, uint64_t *first, uint64_t *last);
/* How many of `bytes` bytes of the body, from its position `from`, are the region's, kept ones among them. */
uint64_t pr_reference_extent_bytes(const struct pr_reference *reference, uint64_t from, uint64_t bytes);
/* Counts the time since it was taken in a histogram. */
void pr_reference_count_duration(const struct pr_reference *reference, uint64_t now, struct pr_durations *durations);

#endif
