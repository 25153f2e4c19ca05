/*
 * The state that the parts of the core share. One mutex guards all of it: it is held for list work only, never over
 * a system call on a file or a socket.
 *
 * A connection's bytes have one owner at a time. One that a lane has accepted (door.c) begins with LANE, as if it had
 * been granted; Node takes it when it is told of it.
 *
 *        pr_send, not finished inline
 *   NODE ─────────────────────────────▶ LANE ──▶ accepted: back to NODE
 *    │ ▲   pr_grant                        │
 *    │ └───────────────────────────────────┼──▶ answers requests itself until the grant is over: back to NODE
 *    │                                    │
 *    │ pr_connection_close                │ broken off
 *    ▼                                    ▼
 *   LANE, under watch until nothing is undone ──▶ descriptor closed
 *                     │ too many of these
 *                     ▼
 *                   reset: what is undone is quarantined
 *
 * A transmission:
 *
 *   HELD ──▶ SENDING ──▶ ACCEPTED ──▶ (done) freed
 *     │         │
 *     │         └─▶ BROKEN ──▶ (done) freed
 *     │                │ sight lost: reset by us
 *     └─▶ freed        └─▶ QUARANTINED
 */
#ifndef PR_STATE_H
#define PR_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/slots.h"
#include "pages/mapping.h"
#include "relay.h"
#include "wire/engine.h"

struct pr_tree {
    uint64_t id;
    int fd; /* O_PATH */
    int lock_fd;
    char *path; /* absolute, as it was given; NULL where that was relative */
};

/*
 * What all openings of one file share: who holds its pages, and how far it was changed in place. It lives as long as
 * one of them is open, so the file's number can't become another's.
 */
struct pr_inode {
    uint64_t device, number;
    struct pr_relay *relay;
    unsigned generations; /* open ones, and closed ones with references */
    uint64_t epoch, version;
    unsigned changing;                             /* leases under which the file may change now */
    uint64_t retired;                              /* the generation whose end shall be told, or 0 */
    unsigned waiting_writers, waiting_for_sockets; /* of these, those whose needs are PR_NEEDS_ACCEPTED */
    struct pr_list references;                     /* of transmissions */
    struct pr_list claims;                         /* in the order of asking */
    struct pr_list inodes;                         /* of the relay */
};

/* A place in the queue for an inode's pages: a writer's becomes a lease, a reader's is exchanged for a reference. */
struct pr_claim {
    uint64_t id;
    struct pr_generation *generation; /* kept open by it */
    bool writer, granted;
    bool begun; /* the file may change now */
    enum pr_needs needs;
    struct pr_list queue; /* of its inode */
    size_t count;
    struct pr_pages {
        uint64_t first, end; /* bytes: whole pages, half-open */
    } pages[];
};

/* One opening of a file: a descriptor and, of huge pages and DAX, a mapping of so many bytes. */
struct pr_generation {
    uint64_t id;
    struct pr_relay *relay;
    struct pr_inode *inode;
    int fd;
    const char *address; /* NULL: it is not mapped (mapping.h) */
    unsigned copying;    /* engines that a witness has seen copy from here, by bit */
    bool mincore_tells;  /* of this file, to this process */
    uint64_t file_size;  /* may be more than is served: a shrunk region's file is cut later */
    struct pr_generation_info info;
    unsigned holds; /* references, and claims */
    bool closed;
    struct pr_list garbage;
};

enum pr_state { PR_HELD, PR_SENDING, PR_ACCEPTED, PR_BROKEN, PR_QUARANTINED };

struct pr_transmission {
    uint64_t id;
    enum pr_state state;
    enum pr_engine engine;
    struct pr_generation *generation;
    struct pr_list reference; /* in its inode */
    struct pr_list undone;    /* in its connection, in the order of their bytes */
    struct pr_connection *connection;
    struct pr_pipe *pipe;         /* engine splice */
    struct pr_file_window window; /* engine zerocopy; its owner's */

    uint64_t total, sent;   /* bytes of the body */
    uint64_t pages;         /* that it holds */
    uint64_t released;      /* of them given back, from the front, by whole pages; <= sent <= total */
    uint64_t start;         /* position of the first byte in what the connection has ever sent */
    uint64_t held_since;    /* ns */
    uint64_t waited_for;    /* ns: how long writers have waited for its pages, all in all */
    uint64_t waited_for_at; /* ns: when one was last seen to wait */
    bool break_told, acknowledged;
    char peer[64]; /* of a quarantined one, whose connection is gone */
    enum pr_peer_kind peer_kind;

    const char *head; /* sent before the body, not part of it */
    char *kept_head;  /* our own copy of what is left of it */
    size_t head_length, head_sent;
    size_t segment_count, segment; /* `segment` and `segment_sent`: the owner's place */
    uint64_t segment_sent;
    struct pr_segment segments[]; /* behind them their literals */
};

enum pr_owner { PR_OWNER_NODE, PR_OWNER_LANE };

struct pr_connection {
    uint64_t id;
    struct pr_relay *relay;
    struct pr_lane *lane;
    int fd;
    bool in_epoll; /* its lane's alone, without the lock: apart from those that are read in one go under it */
    struct pr_peer peer;
    enum pr_owner owner;
    unsigned pins; /* threads that use it without the lock; it lives as long */
    struct pr_transmission *current;
    struct pr_list undone;
    unsigned begun_since_look;
    uint64_t round;       /* of looks for a page of references: the last one that it was looked at in */
    uint64_t watermark;   /* bytes from the connection's start that are done */
    uint64_t progress_at; /* ns: the last time that bytes were accepted or done */
    uint64_t look_at, look_interval;
    uint64_t vanished_at;
    atomic_int abort;           /* -errno: what the lane shall break it off with */
    atomic_bool blind;          /* a peer that is not seen may still read; set before our FIN can make it so */
    atomic_bool upper_layer;    /* a protocol above TCP was seen on the peer's socket: it can't be asked any more */
    struct pr_ledger *ledger;   /* engine zerocopy; NULL before its first */
    struct pr_express *express; /* what its lane may answer; NULL when nothing */
    struct pr_unread *unread;   /* NULL for nothing */
    bool at_door;               /* a lane has accepted it, and Node does not know of it */
    bool node_closed, broken, reset, drain_wanted, stall_reported, break_told;
    struct pr_list ready, watch, broken_off, garbage;
};

/* A grant, on its connection. Its lane has it, but for what others may set under the lock. */
struct pr_express {
    struct pr_connection *connection;
    struct pr_pattern *pattern; /* NULL before the first request of a connection that a lane has accepted */
    bool open;                  /* other patterns may take its place */
    struct pr_list granted;     /* of its lane: in the order in which they end */
    uint64_t until;             /* ns: of an open one counted from its last answer */
    uint64_t position;          /* how many bytes the connection has ever sent; 0 while it is not known */
    uint64_t answers;
    bool ended;       /* the client will send nothing more; what it has sent may be unread */
    atomic_bool over; /* to be given back after the response that it is in */
};

/* What a lane has read of the connection whose turn it is. */
struct pr_window {
    char *bytes;
    size_t at, length; /* answered up to `at` */
    bool looked, full; /* in this turn; the socket can have more */
};

/* What a lane has read of a connection and not answered. */
struct pr_unread {
    size_t length;
    char bytes[];
};

/* A listening socket. */
struct pr_door {
    uint64_t id;
    struct pr_relay *relay;
    int fd;
    atomic_int spare; /* a descriptor, for when there are no others; -1 while a lane uses it, or without */
    unsigned pins;    /* lanes that accept from it */
    bool closed;
    struct pr_list doors; /* of the relay */
};

struct pr_lane {
    struct pr_relay *relay;
    pthread_t thread;
    int epoll, wake, node;
    struct pr_prober prober;
    struct pr_list ready, watch; /* connections: to be sent on; in flight */
    struct pr_list granted;
    struct pr_window window;
    uint64_t now;        /* ns: when the turn, or the answer in it, began */
    uint64_t checked;    /* a generation whose file was looked at in this round */
    char *head;          /* of the response that is being begun */
    uint64_t next_look;  /* ns: when the first of `watch` is due */
    uint64_t accept_at;  /* ns: when doors are to be looked at without having been heard of */
    uint64_t stalled_at; /* ns: when that one of `watch` moved that waits longest, at the last look */
    unsigned connections;
    bool started, stop, asleep;
};

struct pr_ring {
    struct pr_event *events;
    size_t capacity, first, used;
};

/* Answers for the log. A place is set aside when a request is begun. */
struct pr_answers {
    struct pr_answer *list;
    size_t capacity, first, used, begun;
    bool told;
};

struct pr_relay {
    pthread_mutex_t lock;
    struct pr_options options;
    uint64_t max_hold; /* ns */
    struct pr_slots slots;
    struct pr_ring ring;
    struct pr_answers answers;
    bool notify_due;
    struct pr_counters counters;
    struct pr_pipes pipes;
    struct pr_prober prober; /* of the relay's own thread */
    struct pr_lane *lanes;
    unsigned lane_count;
    struct pr_list doors;
    struct pr_list patterns; /* the open ones */
    unsigned open_patterns;
    uint64_t last_pattern; /* number */
    uint64_t rounds;       /* of looks for a page of references */
    int only_node;         /* the NUMA node of a machine that has one; -1 where there are more */
    struct pr_list quarantined, broken_off;
    struct pr_list closing_connections, closing_generations;
    struct pr_list inodes;
    unsigned retired;   /* inodes whose end shall be told */
    unsigned disposing; /* threads that close a generation */
    pthread_cond_t disposed;
};

/* What one connection can have in the ring at a time: ACCEPTED or BROKEN, DRAINED, STALLED, RETURNED or ARRIVED, twice.
 */
enum { PR_EVENTS_OF_ONE = 5 };

/* relay.c */
void pr_lock(struct pr_relay *relay);
/* Also closes, outside of the lock, what has become unused under it, and notifies of events. */
void pr_unlock(struct pr_relay *relay);
/* Room for all that what is there now can cause, and for `more`: adding never fails. */
int pr_events_reserve(struct pr_relay *relay, size_t more);
void pr_event_add(struct pr_relay *relay, struct pr_event event);
uint64_t pr_now(void);

/* inode.c; all under the lock */
/* The one of this file, made where there is none; counts one generation more. NULL: no memory. */
struct pr_inode *pr_inode_take(struct pr_relay *relay, uint64_t device, uint64_t number);
void pr_inode_give(struct pr_inode *inode);

/* claim.c; all under the lock */
/* May a reference be taken on these pages now, by the holder of `place` (may be NULL)? */
bool pr_pages_free(const struct pr_generation *generation, const struct pr_claim *place,
                   const struct pr_segment *segments, size_t count);
/* After a reference became smaller or went: grants leases that waited for it. */
void pr_claims_settle(struct pr_inode *inode);
/* After a socket has taken bytes. */
void pr_claims_settle_sent(struct pr_inode *inode);
void pr_claim_end(struct pr_claim *claim);
/* Whether a reference stands in the way of a writer that waits. */
bool pr_is_waited_for(const struct pr_transmission *transmission);

/* nodes.c */
/* Finds out where the pages of a generation are that is about to be told of, looking at some of them. */
void pr_nodes_find(struct pr_generation *generation);

/* generation.c */
/* 0, or -ESTALE when it is closed, or its file was changed by others. */
int pr_generation_check(struct pr_relay *relay, uint64_t id);
/* The same of one that the caller has a reference to, on any thread, without the lock: 1, 0, or -errno. */
int pr_generation_is_unchanged(const struct pr_generation *generation);
/* What the openings of its file know of its time and size, brought up to date after a change of our own. */
int pr_generation_refresh(struct pr_relay *relay, uint64_t id, struct pr_generation_info *info);
void pr_generation_settle(struct pr_generation *generation);
/* Without the lock. */
void pr_generation_dispose(struct pr_generation *generation);
/* Without the lock: waits for the threads that close generations. */
void pr_generations_closed(struct pr_relay *relay);

/* hold.c */
/* Not held yet; pr_free while it is not. NULL: no memory. */
struct pr_transmission *pr_hold_new(enum pr_engine engine, const struct pr_segment *segments, size_t count);
/* All of these under the lock. Takes the reference for an answer under a grant: results as of pr_hold. */
int pr_hold_take(struct pr_relay *relay, const struct pr_grant *grant, struct pr_transmission *transmission);
/* `copied`: they were, whatever the engine does otherwise. */
void pr_hold_sent(struct pr_transmission *transmission, uint64_t bytes, bool copied);
/* The first `done` bytes of the body are done: gives back the whole pages that they fill. */
void pr_hold_shrink(struct pr_transmission *transmission, uint64_t done);
/* Gives back what was never sent: the transmission was broken off. */
void pr_hold_cut(struct pr_transmission *transmission);
/* Gives back all that is left, and the transmission with it. */
void pr_hold_drop(struct pr_transmission *transmission, uint64_t now);
void pr_hold_quarantine(struct pr_transmission *transmission);
void pr_hold_state(struct pr_transmission *transmission, enum pr_state state);
void pr_hold_acknowledged(struct pr_transmission *transmission, uint64_t now);
/* The first byte still held, and the last: offsets in the generation. */
void pr_hold_range(const struct pr_transmission *transmission, uint64_t *first, uint64_t *last);
void pr_count_outcome(struct pr_transmission *transmission, enum pr_outcome outcome, uint64_t now);

/* transmission.c */
bool pr_holds_until_done(const struct pr_transmission *transmission);
enum pr_pushed { PR_PUSHED_ALL, PR_PUSHED_BUDGET, PR_PUSHED_FULL };
/* The owner, with a pin, without the lock: sends until all, the budget or the socket is spent, or -errno. */
int pr_push(struct pr_connection *connection, struct pr_transmission *transmission, uint64_t budget);
/* Under the lock: it goes out on this connection, after a head, which has to outlive the first push. */
void pr_begin(struct pr_connection *connection, struct pr_transmission *transmission, const char *head,
              size_t head_length, uint64_t start, uint64_t now);
/* What is left of the head after the first push is copied: 0 or -ENOMEM. */
int pr_keep_rest_of_head(struct pr_transmission *transmission);
/* Under the lock: so many responses were begun since the last look that it is time for another. */
bool pr_much_is_undone(const struct pr_connection *connection);
/* Under the lock: the socket has taken the last byte; the connection is Node's again, but for a grant. */
void pr_accepted(struct pr_connection *connection);
void pr_give_pipe_back(struct pr_transmission *transmission);

/* connection.c */
/* A new connection of this descriptor, which it closes, but on -errno. It has a lane, and is Node's. Any thread. */
int pr_connection_new(struct pr_relay *relay, struct pr_prober *prober, int fd, bool unaskable, int node,
                      struct pr_connection **connection);
/* Under the lock, after every change: what is idle is not watched, what nobody needs any more is closed. */
void pr_connection_settle(struct pr_connection *connection);
/* Without the lock: a thread is through with it. */
void pr_connection_unpin(struct pr_connection *connection);
void pr_connection_dispose(struct pr_connection *connection);
/* The owner, with a pin, without the lock. */
void pr_break_off(struct pr_connection *connection, int error);

/* done.c */
/* With a pin, without the lock: asks the kernel, and lets go of what is done. */
void pr_look(struct pr_connection *connection, struct pr_prober *prober);
/* Under the lock. */
bool pr_may_finish(const struct pr_connection *connection);
void pr_tell_if_drained(struct pr_connection *connection);
void pr_watch(struct pr_connection *connection);
void pr_look_soon(struct pr_connection *connection);
void pr_look_later(struct pr_connection *connection);
uint64_t pr_position(int fd);

/* door.c */
/* The lane: accepts what waits at the doors, some of it at a time. */
void pr_doors_answer(struct pr_lane *lane);

/* lane.c */
/* Under the lock: whether its lane sends on it, or answers. What Node has closed is a lane's without either. */
bool pr_is_with_lane(const struct pr_connection *connection);
int pr_lanes_start(struct pr_relay *relay);
void pr_lanes_stop(struct pr_relay *relay);
struct pr_lane *pr_lane_for(struct pr_relay *relay, int node);
/* Under the lock. */
double pr_stalled_seconds(const struct pr_relay *relay);
/* Under the lock; tells whether pr_lane_wake is needed after it. */
bool pr_lane_ready(struct pr_connection *connection);
void pr_lane_wake(struct pr_lane *lane);

#endif
