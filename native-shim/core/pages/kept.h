/*
 * Old bytes of a file that are kept in memory for those who have still to send them when a writer comes: they go on
 * with this copy, and no longer hold the pages that the writer wants.
 */
#ifndef PR_KEPT_H
#define PR_KEPT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared.h"
#include "pages/claim.h"
#include "pages/reference.h"

/* So many bytes are kept at a time, and for one writer; whoever needs more waits for the sockets. */
enum { PR_MOST_KEPT = 256 << 20, PR_MOST_KEPT_FOR_ONE = 64 << 20 };

/* They go with their last user: segments that point to them, and the lease that they were kept for. */
struct pr_kept {
    struct pr_garbage garbage;
    atomic_uint users;
    struct pr_pages of; /* the bytes of the file that they were */
    char bytes[];
};

/* Under all locks: sets room for so many bytes aside. 0, or -ENOBUFS when it would be too much. */
int pr_kept_reserve(struct pr_relay *relay, uint64_t bytes);
/* Under the lock of the part: they are not kept any more, or never were. */
void pr_kept_forgo(struct pr_part *part, uint64_t bytes);
/* Without a lock: reads them. Room is set aside; they have one user. 0 or -errno. */
int pr_kept_read(int fd, const struct pr_pages *of, struct pr_kept **kept);
/* Under the lock of the part: one user less. */
void pr_kept_give(struct pr_kept *kept, struct pr_part *part);
/* The same of a segment, which is sent, or never will be. Its bytes must not be read any more. */
void pr_kept_give_segment(struct pr_segment *segment, struct pr_part *part);

/* Widens `unsent` by what the reference has not sent yet of these bytes of its file. */
void pr_kept_widen(const struct pr_reference *reference, const struct pr_pages *of, struct pr_pages *unsent);

/*
 * Under its part's lock: the segments of a reference where all that is not sent points to what was kept of it. Returns
 * how many there are, or 0 when nothing was kept of it. Writes them (`into` may be NULL), each a user more.
 */
size_t pr_kept_split(const struct pr_reference *reference, struct pr_kept *kept, struct pr_segment *into);

#endif
