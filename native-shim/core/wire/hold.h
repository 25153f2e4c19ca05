/* Taking the pages of a transmission, counting what becomes of it, and ending it. */
#ifndef PR_HOLD_H
#define PR_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/transmission.h"

/*
 * Takes one reference on the pages of all extents, for one transmission; literals are copied. -ESTALE when the
 * generation is no longer at the epoch and version that the caller judged, or is closed, or its file has changed;
 * -ERANGE when an extent lies outside of it; -EAGAIN when a writer has pages of it, or waits for them.
 *
 * `place` (0 for none) is a granted place in the queue: it ends with the call, but for -ESTALE and -EAGAIN.
 */
int pr_hold(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version, enum pr_engine engine,
            uint64_t place, const struct pr_segment *segments, size_t count, uint64_t *transmission);

/* The same of a file that is still at the path that it was opened by: else it is -ESTALE, or why none can be there. */
int pr_hold_in_place(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version,
                     enum pr_engine engine, uint64_t place, const struct pr_segment *segments, size_t count,
                     uint64_t *transmission);

/* For the portable engine: the transmission will be read, not sent, whatever engine it was held for. */
int pr_change_to_stream(struct pr_relay *relay, uint64_t transmission);

/* For the portable engine: so many more bytes were copied out of the pages. */
int pr_advance(struct pr_relay *relay, uint64_t transmission, uint64_t bytes);

/* Ends a transmission that no connection carries. */
int pr_release(struct pr_relay *relay, uint64_t transmission, enum pr_outcome outcome);

/* For the other parts of the core. */

/* Not held yet; pr_free while it is not. NULL: no memory. */
struct pr_transmission *pr_hold_new(enum pr_engine engine, const struct pr_segment *segments, size_t count);

/* The rest is under the lock of its part. */

/* Takes the reference for a transmission that is new and goes out at once: results as of pr_hold. */
int pr_hold_take(struct pr_part *part, uint64_t generation, uint64_t epoch, uint64_t version,
                 struct pr_transmission *transmission);
/* Under the locks of both parts: a lane has it from now on. */
void pr_hold_move(struct pr_transmission *transmission, struct pr_part *part);
/* `copied`: they were, whatever the engine does otherwise. */
void pr_hold_sent(struct pr_transmission *transmission, uint64_t bytes, bool copied);
/* Gives back all that is left, and the transmission with it. */
void pr_hold_drop(struct pr_transmission *transmission, uint64_t now);
void pr_hold_quarantine(struct pr_transmission *transmission);
void pr_hold_acknowledged(struct pr_transmission *transmission, uint64_t now);
void pr_count_outcome(struct pr_transmission *transmission, enum pr_outcome outcome, uint64_t now);

#endif
