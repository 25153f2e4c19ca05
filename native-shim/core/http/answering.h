/* What a lane does with one request: answers it by a published region, or leaves it to Node. */
#ifndef PR_ANSWERING_H
#define PR_ANSWERING_H

#include "http/head.h"
#include "lanes/lane.h"
#include "wire/transmission.h"

/* The request that the lane's window begins with. */
enum pr_next pr_responder_answer(struct pr_connection *connection, const struct pr_head *head);

/* As of struct pr_answering. */
void pr_responder_answered(struct pr_connection *connection, const struct pr_transmission *transmission,
                           enum pr_outcome outcome, int error);

#endif
