#include "wire/client.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/siphash.h"
#include "base/sys.h"
#include "wire/connection.h"
#include "wire/layer.h"
#include "wire/proxied.h"

enum { PLACES = 1 << 14, MOST_WAITING = 1 << 14 };

/* A lane takes the lock of buckets once for so many requests, and all lanes hold a quarter of a burst at most. */
enum { MOST_BATCH = 64, SHARE_IN_ADVANCE = 4 };

#define SECOND 1000000000u /* ns */

/* Who it is. */

struct pr_client_key pr_client_key(const struct pr_peer *peer) {
    const union pr_address *address = &peer->there;
    struct pr_client_key key = {.family = address->any.sa_family, .place = PR_ELSEWHERE};
    if (pr_is_of_this_machine(peer)) key.place = PR_HERE;
    if (address->any.sa_family == AF_INET) key.host = address->four.sin_addr.s_addr;
    if (address->any.sa_family == AF_INET6) {
        memcpy(&key.network, address->six.sin6_addr.s6_addr, sizeof key.network);
        if (IN6_IS_ADDR_LINKLOCAL(&address->six.sin6_addr))
            memcpy(&key.host, &address->six.sin6_addr.s6_addr[sizeof key.network], sizeof key.host);
    }
    return key;
}

/* False: it is of a trusted proxy, which has not said for whom it asks, and counts for nobody. */
static bool key_of(const struct pr_connection *connection, struct pr_client_key *key) {
    const union pr_address *told = pr_told_client(connection, true);
    struct pr_peer who = {.there = told ? *told : connection->peer.there};
    pr_unmap(&who.there);
    *key = pr_client_key(&who);
    return !pr_is_trusted(connection->relay, &who.there);
}

static bool is_limited(const struct pr_limits *limits) {
    return limits->connections_per_address > 0 || limits->requests_per_second > 0;
}

/* The table. */

void pr_clients_open(struct pr_clients *clients) {
    pthread_mutex_init(&clients->lock, NULL);
    pr_list_init(&clients->waiting);
    pr_siphash_key(clients->key);
}

void pr_clients_close(struct pr_clients *clients) {
    pr_list_each(node, &clients->waiting) pr_free(pr_container(node, struct pr_client, waiting));
    pr_free(clients->places);
    pthread_mutex_destroy(&clients->lock);
}

static struct pr_client **place_of(struct pr_clients *clients, const struct pr_client_key *key) {
    struct pr_client **place = &clients->places[pr_siphash(clients->key, key, sizeof *key) % PLACES];
    while (*place && memcmp(&(*place)->key, key, sizeof *key) != 0) place = &(*place)->next;
    return place;
}

static void forget_client(struct pr_clients *clients, struct pr_client *client) {
    *place_of(clients, &client->key) = client->next;
    pr_free(client);
}

static void stop_waiting(struct pr_clients *clients, struct pr_client *client) {
    if (pr_list_empty(&client->waiting)) return;
    pr_list_remove(&client->waiting);
    clients->waiting_count--;
}

/* It has no connection any more. */
static void await_return(struct pr_clients *clients, struct pr_client *client, uint64_t now) {
    if (client->full_at <= now) {
        forget_client(clients, client);
        return;
    }
    pr_list_append(&clients->waiting, &client->waiting);
    clients->waiting_count++;
    pr_list_each(node, &clients->waiting) {
        struct pr_client *first = pr_container(node, struct pr_client, waiting);
        if (first->full_at > now && clients->waiting_count <= MOST_WAITING) return;
        stop_waiting(clients, first);
        forget_client(clients, first);
    }
}

static struct pr_client *find_client(struct pr_clients *clients, const struct pr_client_key *key) {
    return clients->places ? *place_of(clients, key) : NULL;
}

static struct pr_client *find_or_make(struct pr_relay *relay, const struct pr_client_key *key) {
    struct pr_clients *clients = &relay->wire->clients;
    if (!clients->places) clients->places = pr_allocate(PLACES, sizeof(struct pr_client *));
    if (!clients->places) return NULL;
    struct pr_client **place = place_of(clients, key);
    if (*place || !(*place = pr_allocate(1, sizeof **place))) return *place;
    (*place)->key = *key;
    (*place)->limits = &relay->limits[key->place];
    pr_list_init(&(*place)->waiting);
    pr_list_init(&(*place)->lanes);
    return *place;
}

/* Its connections. */

static bool has_room(struct pr_relay *relay, const struct pr_client_key *key) {
    uint64_t most = relay->limits[key->place].connections_per_address;
    if (most == 0) return true;
    const struct pr_client *client = find_client(&relay->wire->clients, key);
    return !client || client->connections < most;
}

bool pr_client_has_room(struct pr_relay *relay, const struct pr_peer *peer) {
    struct pr_client_key key = pr_client_key(peer);
    return pr_is_trusted(relay, &peer->there) || has_room(relay, &key);
}

bool pr_client_has_room_for(struct pr_connection *connection) {
    struct pr_client_key key;
    return !key_of(connection, &key) || has_room(connection->relay, &key);
}

static struct pr_lane_client *lane_client_of(struct pr_client *client, const void *lane) {
    pr_list_each(node, &client->lanes) {
        struct pr_lane_client *part = pr_container(node, struct pr_lane_client, lanes);
        if (part->lane == lane) return part;
    }
    struct pr_lane_client *part = pr_allocate(1, sizeof *part);
    if (!part) return NULL;
    part->client = client;
    part->lane = lane;
    part->is_counted = client->limits->requests_per_second > 0;
    pr_list_append(&client->lanes, &part->lanes);
    return part;
}

void pr_client_join(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct pr_clients *clients = &relay->wire->clients;
    struct pr_client_key key;
    if (!key_of(connection, &key) || !is_limited(&relay->limits[key.place])) return;
    struct pr_client *client = find_or_make(relay, &key);
    if (!client) return;
    stop_waiting(clients, client);
    connection->client = lane_client_of(client, connection->poller);
    if (connection->client) {
        connection->client->connections++;
        client->connections++;
    } else if (client->connections == 0) {
        await_return(clients, client, pr_now());
    }
}

void pr_client_recount(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct pr_client_key key;
    bool counts = key_of(connection, &key) && is_limited(&relay->limits[key.place]);
    const struct pr_client *now = connection->client ? connection->client->client : NULL;
    if (counts ? now && memcmp(&now->key, &key, sizeof key) == 0 : !now) return;
    pr_lock(relay);
    pr_client_leave(connection);
    pr_client_join(connection);
    pr_unlock(relay);
}

static uint64_t nanoseconds_for(const struct pr_limits *limits, uint64_t requests) {
    return requests * SECOND / limits->requests_per_second;
}

void pr_client_leave(struct pr_connection *connection) {
    struct pr_lane_client *part = connection->client;
    if (!part) return;
    struct pr_client *client = part->client;
    connection->client = NULL;
    if (--part->connections == 0) {
        /* What its lane has not spent goes back. */
        if (part->credits > 0) client->full_at -= nanoseconds_for(client->limits, part->credits);
        pr_list_remove(&part->lanes);
        pr_free(part);
    }
    if (--client->connections == 0) await_return(&connection->relay->wire->clients, client, pr_now());
}

/* Its requests. */

static uint64_t burst_of(const struct pr_limits *limits) {
    return limits->request_burst > 0 ? limits->request_burst : 2 * limits->requests_per_second;
}

/* A lane's batch. */
static uint64_t most_at_a_time(const struct pr_limits *limits, uint64_t lanes) {
    uint64_t batch = burst_of(limits) / (SHARE_IN_ADVANCE * lanes);
    return batch < 1 ? 1 : batch > MOST_BATCH ? MOST_BATCH : batch;
}

/*
 * Under a lock of the parts: takes requests out of a client's bucket, `wanted` at most and a batch at most. The bucket
 * is that of the generic cell rate algorithm (ITU-T I.371): the time at which it is full is all that it has.
 */
static unsigned take_requests(struct pr_relay *relay, struct pr_client *client, unsigned wanted) {
    const struct pr_limits *limits = client->limits;
    uint64_t lanes = relay->part_count - 1, batch = most_at_a_time(limits, lanes), now = pr_now();
    uint64_t size = nanoseconds_for(limits, burst_of(limits) - lanes * (batch - 1));
    pthread_mutex_lock(&relay->wire->clients.lock);
    if (client->full_at < now) client->full_at = now;
    uint64_t spent = client->full_at - now;
    uint64_t taken = spent < size ? (size - spent) * limits->requests_per_second / SECOND : 0;
    if (taken > batch) taken = batch;
    if (taken > wanted) taken = wanted;
    client->full_at += nanoseconds_for(limits, taken);
    pthread_mutex_unlock(&relay->wire->clients.lock);
    return (unsigned)taken;
}

bool pr_client_may_ask(struct pr_connection *connection) {
    struct pr_lane_client *part = connection->client;
    if (!part || !part->is_counted) return true;
    if (part->credits == 0) {
        pr_connection_lock(connection);
        part->credits = take_requests(connection->relay, part->client, MOST_BATCH);
        pr_connection_unlock(connection);
    }
    if (part->credits == 0) return false;
    part->credits--;
    return true;
}

void pr_client_unask(struct pr_connection *connection) {
    struct pr_lane_client *part = connection->client;
    if (part && part->is_counted) part->credits++;
}

int pr_client_ask(struct pr_relay *relay, uint64_t id) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    struct pr_lane_client *part = connection->client;
    bool may = !part || !part->is_counted || take_requests(relay, part->client, 1) == 1;
    pr_connection_unlock_both(connection);
    return may ? 1 : 0;
}
