/*
 * Clients, by their addresses: how many connections each has, and how often it may still ask.
 *
 * A client is known while it has connections, and after its last one until its bucket of requests would be full again;
 * of those without a connection there are at most 16,384, and the one that left first is forgotten. So the table has a
 * bound, whoever comes, and a client that is forgotten too early can ask sooner than it should, and no more.
 *
 * Each lane takes requests out of a client's bucket by the batch, and spends these without a lock. What all lanes hold
 * in advance is left out of the bucket, so that a client never has more than its burst.
 */
#ifndef PR_CLIENT_H
#define PR_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/list.h"
#include "wire/peer.h"

struct pr_connection;
struct pr_relay;

/* Who a connection counts for. */
struct pr_client_key {
    uint64_t network, host; /* an address of IPv6 by its network (/64) alone, but for those of one link */
    uint32_t family;
    uint32_t place; /* enum pr_place */
};

/* The one place that says which client a peer is: IPv4 is the same mapped into IPv6, and a unix socket is one client.
 */
struct pr_client_key pr_client_key(const struct pr_peer *peer);

struct pr_client {
    struct pr_client *next; /* of the same place in the table */
    struct pr_list waiting; /* without connections: in the order of leaving */
    struct pr_list lanes;
    struct pr_client_key key;
    const struct pr_limits *limits;
    unsigned connections;
    uint64_t full_at; /* ns: when its bucket is full again; under all locks, or one and that of clients */
};

/* What one lane has of a client. */
struct pr_lane_client {
    struct pr_list lanes; /* of the client */
    struct pr_client *client;
    const void *lane; /* its poller */
    unsigned connections;
    bool is_counted;  /* its client may ask so often, and no more */
    unsigned credits; /* requests that were taken out of the bucket; its lane's alone while there is a connection */
};

struct pr_clients {
    pthread_mutex_t lock; /* of buckets; behind those of the parts */
    struct pr_client **places;
    struct pr_list waiting;
    unsigned waiting_count;
    uint64_t key[2];
};

void pr_clients_open(struct pr_clients *clients);
/* When there are no connections any more. */
void pr_clients_close(struct pr_clients *clients);

/*
 * A proxy that is trusted (wire/proxied.h) is no client: many ask by it. Under all locks: whether one more connection
 * of this peer is within its limits.
 */
bool pr_client_has_room(struct pr_relay *relay, const struct pr_peer *peer);
/* Under all locks: a connection begins, with its lane, and ends. Where nothing is limited, or memory is short, it is
 * nobody's. */
void pr_client_join(struct pr_connection *connection);
void pr_client_leave(struct pr_connection *connection);

/* Under all locks: whether one more connection of the client that was told is within its limits. */
bool pr_client_has_room_for(struct pr_connection *connection);
/* Its lane, without a lock: from now on it counts for whom it was told that it is of. */
void pr_client_recount(struct pr_connection *connection);

/* Its lane, without a lock: whether its client may ask once more, which counts then. */
bool pr_client_may_ask(struct pr_connection *connection);
/* Its lane: what was asked counts elsewhere. */
void pr_client_unask(struct pr_connection *connection);
/* Node, of a request that it has read itself: 1 or 0; -EBADF. */
int pr_client_ask(struct pr_relay *relay, uint64_t connection);

#endif
