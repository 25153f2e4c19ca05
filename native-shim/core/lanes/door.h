/*
 * Doors: listening sockets whose connections the lanes accept. A client that connects, asks once and goes costs Node
 * more than all that a lane does for it; so Node hears only of those that no lane can answer.
 */
#ifndef PR_DOOR_H
#define PR_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct pr_lane;
struct pr_relay;

/* Of one relay. */
enum { PR_MOST_DOORS = 16 };

/* What a door is to those who come by it. */
struct pr_door_options {
    int node;         /* the lanes of this NUMA node accept from it; -1: all, which must be of one node then */
    unsigned number;  /* what Node calls it, below PR_MOST_DOORS */
    bool takes_proxy; /* who is trusted begins with a header of the PROXY protocol */
    bool any_host;    /* not of the loopback alone: by which hosts it may be asked is judged apart (pr_allow_host) */
};

struct pr_door {
    uint64_t id;
    struct pr_relay *relay;
    struct pr_door_options options;
    int fd;
    unsigned pins; /* lanes that accept from it */
    bool closed;
    struct pr_list doors; /* of the relay */
};

/*
 * Has lanes accept the connections of a listening socket, and read their requests. Duplicates the descriptor. -EINVAL
 * when it does not listen, or for neither TCP nor streams of AF_UNIX; -EXDEV where its lanes sit on several NUMA nodes:
 * which one a connection belongs to is known with its first request; -ENODEV where no lane sits on its node; -ENOSPC
 * where there are PR_MOST_DOORS.
 */
int pr_door_open(struct pr_relay *relay, int fd, const struct pr_door_options *options, uint64_t *door);

/* That duplicate, which stays the door's. -EBADF. */
int pr_door_descriptor(struct pr_relay *relay, uint64_t door);

/* Closes that duplicate: when it is the last descriptor, nobody can connect any more. */
int pr_door_close(struct pr_relay *relay, uint64_t door);

/* The lane: accepts what waits at the doors, some of it at a time. */
void pr_doors_answer(struct pr_lane *lane);

#endif
