/* How many references there may be, and how many bytes they may hold, all in all. */
#ifndef PR_ADMISSION_H
#define PR_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"

struct pr_part;
struct pr_reference;

/* What one reference counts for. */
struct pr_admission {
    uint64_t bytes; /* never more than it holds */
    bool counts;    /* as one */
};

/* All under the lock of the part. */

/* Before it is taken: PR_LIMITED_COUNT when there may be this one more, or which limit it is beyond. */
enum pr_limited pr_admit(struct pr_reference *reference, struct pr_part *part);
/* It holds fewer bytes than before. */
void pr_admission_shrink(struct pr_reference *reference);
void pr_admission_end(struct pr_reference *reference);

#endif
