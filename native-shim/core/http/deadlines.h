/* How long a lane waits for a request, and for the rest of its head. */
#ifndef PR_DEADLINES_H
#define PR_DEADLINES_H

#include "lanes/lane.h"

/* Under its lane's lock: from now on. */
void pr_wait_idle(struct pr_connection *connection);
void pr_wait_in_head(struct pr_connection *connection);
/* It waits for nothing that comes from its client: it may be answered by a published region. */
void pr_wait_for_answer(struct pr_connection *connection);

/* As of struct pr_serving. */
void pr_responder_expire(struct pr_lane *lane);

#endif
