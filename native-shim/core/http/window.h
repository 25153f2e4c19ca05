/*
 * What a lane has read of a connection and not answered. It is read, not peeked at, which saves a call in each request,
 * 0.4 of 10 µs. So whatever ends a turn, what is in the lane's window is kept: for the connection's next turn, or for
 * Node.
 */
#ifndef PR_WINDOW_H
#define PR_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "lanes/lane.h"

/* Node's own limit for the head of a request. */
enum { PR_WINDOW = 16 << 10 };

/* What a lane has read of the connection whose turn it is. */
struct pr_window {
    char *bytes;
    size_t at, length; /* answered up to `at` */
    bool looked, full; /* in this turn; the socket can have more */
};

/* What a lane has read of a connection and not answered. */
struct pr_unread {
    size_t at, length; /* taken up to `at` */
    char bytes[];
};

/*
 * What Node shall read of a connection that its lane gives to it; before the socket where that is Node's for good.
 * Returns how much that is; it is taken when it fits.
 */
size_t pr_unread(struct pr_relay *relay, uint64_t connection, void *into, size_t capacity);

/* For the other parts of the core. */

enum pr_window_sight { PR_WINDOW_BYTES, PR_WINDOW_EMPTY, PR_WINDOW_ENDED };

/* The next bytes that were not answered: read at the beginning of a turn, and later if there can be more. */
enum pr_window_sight pr_window_look(struct pr_connection *connection);

/* More, behind those. */
enum pr_window_sight pr_window_read_on(struct pr_connection *connection);

/* A copy; NULL: no memory. */
struct pr_unread *pr_unread_new(const char *bytes, size_t length);

/* Keeps what was not answered with its connection; false: no memory, and the connection is broken off. */
bool pr_window_keep(struct pr_connection *connection);

/* Before a turn, and before a connection is broken off: nobody else shall have what it has asked for. */
void pr_window_clear(struct pr_lane *lane);

#endif
