/* How long a lane waits for a request, and for the rest of its head. */
#ifndef PR_DEADLINES_H
#define PR_DEADLINES_H

#include "lanes/lane.h"

/* Under the lock: from now on. */
void pr_wait_idle(struct pr_connection *connection);
void pr_wait_in_head(struct pr_connection *connection);

/* As of struct pr_serving. */
void pr_responder_expire(struct pr_lane *lane);

#endif
