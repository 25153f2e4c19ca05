/* When transmissions are done: asking the kernel, letting go of what is, and when to ask again. */
#ifndef PR_DONE_H
#define PR_DONE_H

#include <stdbool.h>
#include <stdint.h>

struct pr_connection;
struct pr_prober;

/* With a pin, without a lock: asks the kernel, and lets go of what is done. */
void pr_look(struct pr_connection *connection, struct pr_prober *prober);

/* How many bytes were ever written to the socket. */
uint64_t pr_position(int fd);

/* The rest is under the lock of its lane. */

/* May a FIN go out (pr_connection_finish)? */
bool pr_may_finish(const struct pr_connection *connection);
void pr_tell_if_drained(struct pr_connection *connection);

/* It is in flight: it is looked at from time to time. */
void pr_watch(struct pr_connection *connection);
void pr_look_soon(struct pr_connection *connection);
void pr_look_later(struct pr_connection *connection);

#endif
