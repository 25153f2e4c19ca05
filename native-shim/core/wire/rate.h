/*
 * The least rate: who takes some bytes, but fewer than that, is broken off. What a client takes is counted in windows.
 * One opens when bytes are seen to be taken, and is judged when its time is over; whoever takes nothing at all
 * meanwhile has no window, and is broken off when nothing has moved for too long (lanes/lane.c).
 */
#ifndef PR_RATE_H
#define PR_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct pr_connection;

struct pr_rate {
    uint64_t since; /* ns: when the window opened; 0: none is open */
    uint64_t from;  /* the connection's watermark before it */
};

/* All under the lock of the connection's lane. */

/* Nothing that was taken so far counts: it has just begun to send, or it was this side that sent nothing. */
void pr_rate_begin(struct pr_connection *connection);
/* After a look, while something is in flight: whether a window is over in which the client has taken too little. */
bool pr_rate_is_too_low(struct pr_connection *connection, uint64_t now);

#endif
