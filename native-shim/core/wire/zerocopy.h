/* The engine zerocopy: MSG_ZEROCOPY from the mapping, and the error queue that tells when pages are free. */
#ifndef PR_ZEROCOPY_H
#define PR_ZEROCOPY_H

#include "wire/engine.h"

struct pr_connection;
struct pr_transmission;

/* Makes a connection ready for it: -EOPNOTSUPP and its like where the kernel or the socket can't. */
int pr_zerocopy_prepare(struct pr_connection *connection);

/* As pr_engine_step, for one extent of a transmission; with a pin, without a lock, by the owner. */
ssize_t pr_zerocopy_step(struct pr_connection *connection, struct pr_transmission *transmission,
                         const struct pr_chunk *chunk);

/* Reads what the error queue tells. With a pin, without a lock, from any thread. */
void pr_zerocopy_drain(struct pr_connection *connection);

/* Under its lane's lock: bytes of the current body that no queue refers to; whether that is all that was sent. */
uint64_t pr_zerocopy_done(const struct pr_connection *connection, const struct pr_transmission *transmission);

#endif
