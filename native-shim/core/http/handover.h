/*
 * Who reads a connection: its lane, or Node. What a lane can't answer it feeds to Node, one head at a time, and reads
 * on when Node has answered it. What may not be one head and nothing else goes to Node with the connection, for good.
 */
#ifndef PR_HANDOVER_H
#define PR_HANDOVER_H

#include <stdint.h>

#include "base/words.h"
#include "http/head.h"
#include "lanes/lane.h"

/*
 * Node has answered what it was fed, and nothing of that is on its way any more: the lane reads on. -EBUSY when the
 * connection is Node's for good, as an event tells, or was from the start.
 */
int pr_resume(struct pr_relay *relay, uint64_t connection);

/* All connections become Node's for good, each after the response that it is in, and so does who comes from now on. */
void pr_hand_over_all(struct pr_relay *relay);

/* For the other parts of the core. */

/* A turn's end, by its lane: */

/* Nothing is left to do for anybody but to see what is undone. */
enum pr_next pr_responder_leave(struct pr_connection *connection);
/* After its last response. */
enum pr_next pr_responder_end(struct pr_connection *connection);
/* All of the connection, with what was read. */
enum pr_next pr_responder_hand_over(struct pr_connection *connection, enum pr_handed why);
/* One head. */
enum pr_next pr_responder_feed(struct pr_connection *connection, const struct pr_head *head, enum pr_fed why);

/* As of struct pr_serving. */
void pr_responder_let_in(struct pr_connection *connection);
void pr_responder_peer_ended(struct pr_connection *connection);

/* As of struct pr_answering. */
void pr_responder_finish(struct pr_connection *connection);
void pr_responder_ended(struct pr_connection *connection, enum pr_return what);

#endif
