/* The access log: a line for each answer of a lane, as Node writes those of its own (src/observe/access-log.ts). */
#ifndef PR_ACCESSLOG_H
#define PR_ACCESSLOG_H

#include "http/head.h"
#include "lanes/lane.h"
#include "wire/transmission.h"

/* The end of a line in the combined format. When the line is written, the head of its request is gone. */
struct pr_asked {
    size_t length;
    char bytes[];
};

/* NULL where there is no memory: its line tells nothing of the client then. */
struct pr_asked *pr_access_log_asked(const struct pr_head *head);

/* By its lane, under its lock. `transmission` is NULL for a response without a body, `error` an errno or 0. */
void pr_access_log(const struct pr_connection *connection, const struct pr_transmission *transmission,
                   enum pr_outcome outcome, int error);

/* The lane, at the end of a round: its lines are the log's from here on. */
void pr_access_log_pass_on(struct pr_lane *lane);

#endif
