/* Where there is no room for a new connection: which one closes for it, and what the new one is told if none does. */
#ifndef PR_CROWD_H
#define PR_CROWD_H

#include "lanes/lane.h"

/* The lane, in a connection's turn: whether that closes now, to make room. */
bool pr_makes_room(struct pr_connection *connection);

/* As of struct pr_serving. */
struct pr_poller *pr_responder_make_room(struct pr_relay *relay);
void pr_responder_refuse(struct pr_relay *relay, int fd, enum pr_limited why);

#endif
