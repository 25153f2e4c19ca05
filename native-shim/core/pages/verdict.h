/* Whether pages can be had that are asked for, and by what they are kept. All under all locks. */
#ifndef PR_VERDICT_H
#define PR_VERDICT_H

#include "pages/claim.h"

/* Nobody can say when pages can be had that are quarantined. */
enum pr_verdict { PR_PAGES_FREE, PR_PAGES_HELD, PR_PAGES_QUARANTINED };

/* Of a claim that is in the queue: what is held, or was asked for earlier, and can't be shared with it. */
enum pr_verdict pr_claim_judge(const struct pr_claim *claim);

/* The whole pages that cover `length` bytes from `offset`; 0, or more than there are numbers for: no end. */
struct pr_pages pr_pages_of(const struct pr_generation *generation, uint64_t offset, uint64_t length);

#endif
