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

struct pr_door {
    uint64_t id;
    struct pr_relay *relay;
    int fd;
    unsigned pins; /* lanes that accept from it */
    bool closed;
    struct pr_list doors; /* of the relay */
};

/*
 * Has the lanes accept the connections of a listening socket, and read their requests. Duplicates the descriptor.
 * -EINVAL when it does not listen, or for neither TCP nor streams of AF_UNIX; -EXDEV where lanes sit on several NUMA
 * nodes: which one a connection belongs to is known with its first request.
 */
int pr_door_open(struct pr_relay *relay, int fd, uint64_t *door);

/* Closes that duplicate: when it is the last descriptor, nobody can connect any more. */
int pr_door_close(struct pr_relay *relay, uint64_t door);

/* The lane: accepts what waits at the doors, some of it at a time. */
void pr_doors_answer(struct pr_lane *lane);

#endif
