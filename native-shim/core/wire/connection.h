/*
 * Connections, by TCP or a unix socket, that carry transmissions, for as long as their peers can read pages of them.
 *
 * A connection's bytes have one owner at a time. One that a lane has accepted (lanes/door.c) begins with LANE, which
 * reads requests from it; Node takes it when it is told of it.
 *
 *          pr_send, not finished inline; pr_resume
 *    ┌────▶ NODE ──────────────────────────────────▶ LANE ──┐
 *    │       │ │                                      │ │   │ accepted; a request that is Node's to answer
 *    └───────│─│──────────────────────────────────────│─│───┘
 *            │ │ broken off                broken off │ │
 *            │ └─────────────▶ BROKEN ◀───────────────┘ │
 *            │                   │ │                    │
 *    Node    │        Node closes│ │too many of these   │ Node closes
 *    closes  │                   │ └────▶ RESET         │
 *            ▼                   ▼         │            ▼
 *          CLOSED ─────▶ BROKEN_CLOSED     │         LEAVING, until its lane is through with it: CLOSED or
 *                stalled     │             │                  BROKEN_CLOSED
 *                            ▼ too many    ▼ Node closes
 *                               RESET_CLOSED
 *
 * What Node has closed is under watch until nothing of it is undone; then its descriptor is closed. What is undone of a
 * connection that was reset is quarantined.
 */
#ifndef PR_CONNECTION_H
#define PR_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/shared.h"
#include "base/words.h"
#include "wire/pace.h"
#include "wire/peer.h"
#include "wire/poller.h"
#include "wire/rate.h"
#include "wire/transmission.h"

struct pr_ledger;
struct pr_lane_client;
struct pr_proxied;
struct pr_responder;
struct pr_unread;

/* What one connection can have in the ring at a time: ACCEPTED or BROKEN, DRAINED, STALLED, RETURNED or ARRIVED, twice.
 */
enum { PR_EVENTS_OF_ONE = 5 };

enum pr_phase {
    PR_PHASE_NODE,    /* Node's, which reads and writes it, or sends by pr_send */
    PR_PHASE_LANE,    /* its lane sends on it, or reads requests from it */
    PR_PHASE_LEAVING, /* the same, but Node has closed it */
    PR_PHASE_CLOSED,  /* Node has closed it */
    PR_PHASE_BROKEN,  /* no more bytes go out; Node has not closed it yet */
    PR_PHASE_BROKEN_CLOSED,
    PR_PHASE_RESET, /* broken off before, and given up: nobody looks any more */
    PR_PHASE_RESET_CLOSED,
};

struct pr_connection {
    uint64_t id;
    struct pr_relay *relay;
    struct pr_poller *poller;
    int fd;
    uint32_t listens; /* what epoll was asked for; 0: nothing. Of who has it: its poller's thread, or pr_resume */
    struct pr_peer peer;
    enum pr_phase phase; /* changed by pr_move alone */
    unsigned pins;       /* threads that use it without a lock; it lives as long */
    struct pr_transmission *current;
    struct pr_list undone;
    unsigned begun_since_look;
    uint64_t accepted;    /* bytes of bodies that the socket has taken */
    uint64_t watermark;   /* bytes from the connection's start that are done */
    uint64_t progress_at; /* ns: the last time that bytes were accepted or done */
    uint64_t look_at, look_interval;
    uint64_t vanished_at;
    atomic_int abort;              /* -errno: what the lane shall break it off with */
    atomic_bool blind;             /* a peer that is not seen may still read; set before our FIN can make it so */
    atomic_bool upper_layer;       /* a protocol above TCP was seen on the peer's socket: it can't be asked any more */
    struct pr_lane_client *client; /* NULL where nothing limits it; changed under all locks */
    struct pr_ledger *ledger;      /* engine zerocopy; NULL before its first */
    /* Of the layer that answers requests: while the lane reads them; what it has read, NULL when nothing. */
    struct pr_responder *responder;
    struct pr_unread *unread;
    size_t fed;                 /* bytes of these that Node shall have */
    bool is_fed;                /* Node answers what it was fed, and the lane reads on then */
    bool at_door;               /* a lane has accepted it, and Node does not know of it */
    bool shared;                /* a lane has accepted it, and Node has a descriptor too */
    atomic_bool makes_room;     /* its lane shall close it, if nothing was asked on it; changed under its lock */
    bool ended_at_door;         /* its client has ended meanwhile, which who takes it is told */
    bool all_read;              /* up to its client's FIN, by its lane */
    struct pr_proxied *proxied; /* who it is that a proxy asks for; NULL where nobody was told. As of wire/proxied.h */
    bool is_trusted;   /* its peer, or who that has named, to say for whom it asks. Its lane's alone, as the next */
    bool awaits_proxy; /* it begins with a header of the PROXY protocol, which has not come yet */
    uint8_t door;      /* what Node calls the door that it came by */
    bool any_host;     /* that is not of the loopback alone */
    bool classified;   /* its peer's kind is known; until then it is sent copies alone */
    bool drain_wanted, stall_reported, break_told;
    bool in_turn;        /* its owner is sending on it, without a lock; changed under its lock (wire/keep.h) */
    struct pr_pace pace; /* its owner's */
    struct pr_rate rate;
    struct pr_list ready, paced, watch, broken_off;
    struct pr_garbage garbage;
};

/* What a layer above that answers requests is told of connections that have a responder. All under their locks. */
struct pr_answering {
    /* The response that the lane is in has ended. */
    void (*answered)(struct pr_connection *connection, const struct pr_transmission *transmission,
                     enum pr_outcome outcome, int error);
    /* It shall be Node's after the response that it is in. */
    void (*finish)(struct pr_connection *connection);
    /* It is Node's, or ends. */
    void (*ended)(struct pr_connection *connection, enum pr_return what);
};

/*
 * A connection that has arrived is Node's from now on; what the lane has read of it is asked for before (pr_unread).
 * Returns a descriptor that the caller closes, or -errno, and it is closed. Where descriptors are short that is the
 * relay's own, which has `forgotten` the connection: it can be adopted like any other.
 */
int pr_connection_take(struct pr_relay *relay, uint64_t connection, enum pr_peer_kind *kind, bool *forgotten);

/* The address of a connection's client as text, its port, and the number of the door that it came by. -EBADF. */
int pr_connection_client(struct pr_relay *relay, uint64_t connection, char text[PR_ADDRESS_TEXT], unsigned *port,
                         unsigned *door);

/*
 * Node closes it, and another process has its socket, to which all that still comes belongs: it is not read here any
 * more. What is undone of it stays under watch.
 */
int pr_connection_leave(struct pr_relay *relay, uint64_t connection);

/* One that was adopted comes from another process, by such a door, between two requests: pr_resume has its lane read
 * it. */
int pr_connection_admit(struct pr_relay *relay, uint64_t connection, uint8_t door, bool any_host);

/* Duplicates the descriptor, finds out who the peer is, gives it a lane (on `node`, where one is). */
int pr_connection_adopt(struct pr_relay *relay, int fd, bool unaskable, int node, uint64_t *connection,
                        enum pr_peer_kind *kind);

/*
 * May a FIN go out now? 1, or 0: an event will tell. Not in mid-body; and not while bytes to a local peer are undone:
 * one that has sent its own FIN vanishes from the kernel's tables with ours, while its process can still read the pages
 * in its queue. (At a unix socket the queue is seen all the same.)
 */
int pr_connection_finish(struct pr_relay *relay, uint64_t connection);

/* Breaks off a connection that Node owns: no more bytes, and the peer can tell. */
int pr_connection_break(struct pr_relay *relay, uint64_t connection);

/* Node has closed its descriptor. Ours closes when nothing of the connection is undone. */
int pr_connection_close(struct pr_relay *relay, uint64_t connection);

/* For the other parts of the core. */

/* The lock of the lane that has it. */
static inline struct pr_part *pr_part_of(const struct pr_connection *connection) {
    return connection->poller->part;
}

static inline void pr_connection_lock(struct pr_connection *connection) {
    pr_lock_part(pr_part_of(connection));
}

static inline void pr_connection_unlock(struct pr_connection *connection) {
    pr_unlock_part(pr_part_of(connection));
}

/* For Node, which takes its own lock as well: only so is a connection found that nobody has pinned. */
static inline void pr_connection_lock_both(struct pr_connection *connection) {
    pr_lock_part(pr_node_part(connection->relay));
    pr_connection_lock(connection);
}

static inline void pr_connection_unlock_both(struct pr_connection *connection) {
    pr_unlock_both(pr_node_part(connection->relay), pr_part_of(connection));
}

/* Under any lock: those that hold for its client. */
const struct pr_limits *pr_limits_of(const struct pr_connection *connection);

/* With both locks; NULL, and no lock, where there is none of this id. */
struct pr_connection *pr_connection_find(struct pr_relay *relay, uint64_t id);
/* Under its lock: what it carries that is called `id`, and is not let go of; or NULL. */
struct pr_transmission *pr_connection_carries(const struct pr_connection *connection, uint64_t id);

/* A new connection of this descriptor, which it closes, but on -errno. It has a lane, and is Node's. Any thread. */
int pr_connection_new(struct pr_relay *relay, int fd, const struct pr_peer *peer, int node,
                      struct pr_connection **connection);
/* Without a lock, with a pin, by the one thread that is about to send on it: finds out who its peer is. */
void pr_connection_classify(struct pr_connection *connection, struct pr_prober *prober, bool unaskable);
/* Under its lock: who uses it without that pins it meanwhile. */
static inline void pr_pin(struct pr_connection *connection) {
    connection->pins++;
}

static inline void pr_unpin(struct pr_connection *connection) {
    pr_assert(connection->pins > 0);
    connection->pins--;
}

/* Under its lock; the move must be one of the drawing's. */
void pr_move(struct pr_connection *connection, enum pr_phase to);
/* Under its lock: Node has closed it, or was never told of it. */
void pr_move_to_closed(struct pr_connection *connection);

static inline bool pr_node_has_closed(const struct pr_connection *connection) {
    enum pr_phase phase = connection->phase;
    return phase == PR_PHASE_LEAVING || phase == PR_PHASE_CLOSED || phase == PR_PHASE_BROKEN_CLOSED ||
           phase == PR_PHASE_RESET_CLOSED;
}

static inline bool pr_is_broken(const struct pr_connection *connection) {
    return connection->phase >= PR_PHASE_BROKEN;
}

static inline bool pr_is_reset(const struct pr_connection *connection) {
    return connection->phase >= PR_PHASE_RESET;
}

/* Under its lock, after every change: what is idle is not watched, what nobody needs any more is closed. */
void pr_connection_settle(struct pr_connection *connection);
/* Without a lock: a thread is through with it. */
void pr_connection_unpin(struct pr_connection *connection);
/* Under its lock: nothing more is sent of what it sends now, if anything. `tells`: Node, if it is told at all. */
void pr_end_current(struct pr_connection *connection, int error, bool tells);
/* The owner, with a pin, without a lock. */
void pr_break_off(struct pr_connection *connection, int error);

/* Under its lock: whether its lane sends on it, or answers. What Node has closed is a lane's without either. */
bool pr_is_with_lane(const struct pr_connection *connection);

#endif
