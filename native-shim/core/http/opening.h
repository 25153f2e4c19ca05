/*
 * Opening published regions. What was published ahead of requests has no generation: the lane that is asked for it
 * opens the file, if that is still as it was seen. Node takes over what lanes have opened (pr_take_opened): it knows
 * what is open by which name, looks after files that others remove, and closes what was not asked for for longest; a
 * lane then opens it again.
 */
#ifndef PR_OPENING_H
#define PR_OPENING_H

#include <stdbool.h>
#include <stdint.h>

#include "http/published.h"
#include "http/validators.h"
#include "pages/generation.h"

/* A region that a lane has opened, with one use of it for the caller, who now closes its generation. */
struct pr_opened {
    struct pr_published *published;
    uint64_t generation;
    struct pr_generation_info info;
};

/* The next one that Node does not know of: 0, or -ENOENT when it knows all. An event says when there is one again. */
int pr_take_opened(struct pr_relay *relay, struct pr_opened *opened);

/* Ends the use. */
void pr_opened_give(struct pr_relay *relay, const struct pr_opened *opened);

/* For the other parts of this layer. */

/*
 * Whether the file of `published` is as it was published, by a look at its path at most once in 20 ms: so long may an
 * answer come from a file that others have replaced or changed. `*generation` is what it is answered from; 0 before it
 * is opened here. 0, -ESTALE when it is another one, or -errno for want of memory or descriptors.
 */
int pr_published_look(struct pr_part *part, struct pr_published *published, uint64_t *generation, uint64_t now);

/* Whether the file is current is asked under any lock; the rest is under all. */

/* The open generation of a published region; NULL where it has none. */
struct pr_generation *pr_published_generation(struct pr_relay *relay, const struct pr_published *published);

/* Has the processor fetch what an answer reads of its generation, and where this part keeps references to that. */
void pr_published_fetch(struct pr_part *part, const struct pr_published *published);

/* Whether the file that was seen is changed in place, or was, since it was looked at. */
bool pr_published_is_stale(struct pr_relay *relay, const struct pr_published *published);

/*
 * Whether it can be answered for, as far as this service knows, at the version that `validators` then say.
 * `*generation` as above. Bytes of it may be changing: whether these ones are is found out by taking a reference.
 */
bool pr_published_is_current(struct pr_relay *relay, const struct pr_published *published, uint64_t *generation,
                             struct pr_validators *validators);

/* Whether its file is at the version of which it was published. */
bool pr_published_is_at_version(const struct pr_inode *inode, const struct pr_publication *is);

/* It can be opened again by what was published ahead, where that is the same. */
void pr_published_may_open(struct pr_published *published, const struct pr_publication *ahead,
                           const struct pr_generation *generation);

/* It is withdrawn: what a lane has opened, and Node does not know of, is closed. */
void pr_published_close_opened(struct pr_relay *relay, struct pr_published *published);

#endif
