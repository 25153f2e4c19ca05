/* Sends what was judged: a head alone, or a head whose body the lane's turns send. */
#ifndef PR_SENDING_H
#define PR_SENDING_H

#include "lanes/lane.h"

/* A head and a body whose pages are held from here on. `is_last`: nothing has come behind its request. 0, or -errno:
 * nothing of it is out. */
int pr_send_body(struct pr_connection *connection, bool is_last);

/* A response that is a head alone. The same; -EPIPE when a part of it is out. */
int pr_send_head(struct pr_connection *connection, bool is_last);

/* What is left of one: 1 when nothing is, 0 when the socket takes no more, or -errno. */
int pr_send_unsent(struct pr_connection *connection);

#endif
