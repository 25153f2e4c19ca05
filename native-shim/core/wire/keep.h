/*
 * Keeping what is not sent yet from a writer's hands: transmissions that are on their way go on with a copy of the old
 * bytes, whose pages the writer can have at once.
 *
 * Only the owner of a connection sends on it, without a lock, so what it is about to send does not change in its turn:
 * then it points to the copy itself, at the end of that turn. A transmission that has not begun does so after its first
 * turn; one that Node reads by itself never does, and is waited for.
 */
#ifndef PR_KEEP_H
#define PR_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/connection.h"

/*
 * Under a lease that is granted and has not begun: copies what is not sent yet of its pages, if anything, for those who
 * send it. What that fails for is waited for (pr_lease_wait_for). Reads from the file: any thread, but the
 * lease and the relay must not end meanwhile. 0 or -errno: -EAGAIN where it would take long and is to be done
 * `at_once`.
 */
int pr_lease_keep(struct pr_relay *relay, uint64_t lease, bool at_once);

/* After that: the lease waits for what it needs, but for bytes that are kept. Results as of pr_lease_wait. */
int pr_lease_wait_for(struct pr_relay *relay, uint64_t lease, enum pr_needs needs);

/* For the other parts of the core, under the lock of its lane. */

/* What it sends now, if anything, goes on with what writers have kept of it. */
void pr_go_on_with_kept(struct pr_connection *connection);
/* The bytes of a segment are sent, or none of the rest ever will be: what was kept for them is not needed any more. */
void pr_kept_segment_is_sent(struct pr_transmission *transmission);
void pr_give_all_kept(struct pr_transmission *transmission);

/* From here on the thread that has it may be sending, without a lock; and it is not any more. */
static inline void pr_begin_turn(struct pr_connection *connection) {
    connection->in_turn = true;
}

static inline void pr_end_turn(struct pr_connection *connection) {
    connection->in_turn = false;
    pr_go_on_with_kept(connection);
}

#endif
