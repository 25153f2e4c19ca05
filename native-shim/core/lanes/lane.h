/*
 * Lanes: each is one thread with its own epoll that carries transmissions to slow readers, looks at what is undone, and
 * breaks off what makes no progress.
 */
#ifndef PR_LANE_H
#define PR_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared.h"
#include "lanes/door.h"
#include "wire/connection.h"
#include "wire/poller.h"

struct pr_lane_http;

struct pr_lane {
    struct pr_poller poller;
    struct pr_relay *relay;
    pthread_t thread;
    struct pr_lane_http *http; /* of the layer that answers requests */
    uint64_t now;              /* ns: when the turn, or the answer in it, began */
    uint64_t accept_at;        /* ns: when doors are to be looked at without having been heard of */
    int newcomer;              /* what it has accepted and there is no room for yet; -1 when none */
    struct pr_peer newcomer_peer;
    struct pr_door_options newcomer_by;
    uint64_t newcomer_at; /* ns: when it did */
    uint64_t stalled_at;  /* ns: when that connection in flight moved that waits longest, at the last look */
    bool started;
    atomic_bool stop;
};

/* The lane that has a connection. */
static inline struct pr_lane *pr_lane_of(const struct pr_connection *connection) {
    return pr_container(connection->poller, struct pr_lane, poller);
}

/* What became of the next request of a connection. */
enum pr_next {
    PR_NEXT_NOTHING,  /* none has come, or the connection is Node's */
    PR_NEXT_BEGUN,    /* a response was begun, and has to be sent */
    PR_NEXT_ANSWERED, /* a response without a body is out */
};

/* What a layer above that answers requests does in a lane. By the lane itself, without a lock, if it says no more. */
struct pr_serving {
    /* The memory of a lane that begins: 0 or -ENOMEM; given back when there are no connections. The relay's thread. */
    int (*open)(struct pr_lane *lane);
    void (*close)(struct pr_lane *lane);

    /* What is due by the clock. */
    void (*expire)(struct pr_lane *lane);

    /* A connection was accepted just now: its own lane answers it, or an event tells Node of it. */
    void (*let_in)(struct pr_connection *connection);
    /*
     * Under all locks: has the connection close, in its turn, that has been idle longest of all that lanes read.
     * Returns its poller, to be woken; NULL when none is idle.
     */
    struct pr_poller *(*make_room)(struct pr_relay *relay);
    /* Tells a client that it is not let in. The descriptor is closed. */
    void (*refuse)(struct pr_relay *relay, int fd, enum pr_limited why);
    /* Under its lock: the peer of a connection that has a responder, or is fed to Node, will send nothing more. */
    void (*peer_ended)(struct pr_connection *connection);

    /* A turn begins, or its connection is broken off: what was read of it is nobody else's. */
    void (*begin_turn)(struct pr_lane *lane);
    /* With a pin, when the connection has nothing to send, and a responder. */
    enum pr_next (*next)(struct pr_connection *connection);
    /* A turn ends: keeps what was read and not answered. False: no memory, and the connection is broken off. */
    bool (*end_turn)(struct pr_connection *connection);
    /* All have had their turn. */
    void (*end_round)(struct pr_lane *lane);
};

int pr_lanes_start(struct pr_relay *relay, unsigned count);
void pr_lanes_stop(struct pr_relay *relay);

/* Under all locks. */
double pr_stalled_seconds(const struct pr_relay *relay);

struct pr_lane_info {
    unsigned connections;
    int node;
    double cpu_seconds; /* of its thread */
};

/* The lanes, at most `capacity`; returns how many there are. */
size_t pr_lanes(struct pr_relay *relay, struct pr_lane_info *into, size_t capacity);

#endif
