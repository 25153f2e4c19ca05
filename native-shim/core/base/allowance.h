/*
 * What the parts of a relay may have of something together. Each takes more of it than it needs at a time, and gives
 * back what it has too much of, so that they mostly have no line in common. What none of them uses can be an eighth.
 */
#ifndef PR_ALLOWANCE_H
#define PR_ALLOWANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pr_allowance {
    atomic_uint_fast64_t taken; /* by all parts */
};

/* What one part has taken, and does not use. */
struct pr_share {
    uint64_t spare;
};

/* Under the lock of the part. `most` is for all `parts`, and can be another one each time. */

/* Whether there was so much. */
bool pr_share_take(struct pr_share *share, struct pr_allowance *allowance, uint64_t most, unsigned parts,
                   uint64_t amount);
void pr_share_give(struct pr_share *share, struct pr_allowance *allowance, uint64_t most, unsigned parts,
                   uint64_t amount);

#endif
