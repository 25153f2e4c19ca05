/* The access log: a line for each answer of a lane, as Node writes those of its own (docs/operations.md). */
#ifndef PR_ACCESSLOG_H
#define PR_ACCESSLOG_H

#include "lanes/lane.h"
#include "wire/transmission.h"

/* Under the lock; never waits. `transmission` is NULL for a response without a body, `error` an errno or 0. */
void pr_access_log(const struct pr_connection *connection, const struct pr_transmission *transmission,
                   enum pr_outcome outcome, int error);

#endif
