/* What a lane does with the connections that it was granted. */
#ifndef PR_EXPRESS_H
#define PR_EXPRESS_H

#include "state.h"

/* A lane's own memory for it: 0 or -ENOMEM. */
int pr_express_open(struct pr_lane *lane);
void pr_express_close(struct pr_lane *lane);

/* A lane, of a connection that was accepted just now: its own lane answers it, or an event tells Node of it. */
void pr_express_let_in(struct pr_connection *connection);

/*
 * The lane, with a pin, without the lock, when the connection has nothing to send: whether the next request was begun,
 * so that it has. False when none has come, or the connection is Node's again.
 */
bool pr_express_next(struct pr_connection *connection);

/* The lane: gives back connections whose grant is over and that nothing was asked of. */
void pr_express_expire(struct pr_lane *lane);

/* Under the lock, of a connection that has a grant: it ends. */
void pr_express_end(struct pr_connection *connection, enum pr_return why, int error);

/* answers.c; under the lock: the response that a lane is in has ended. */
void pr_express_answered(struct pr_connection *connection, const struct pr_transmission *transmission,
                         enum pr_outcome outcome, int error, uint64_t now);

#endif
