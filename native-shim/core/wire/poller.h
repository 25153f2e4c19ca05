/* One thread's epoll, and what it has to do about its connections: those to be sent on, and those to be looked at. */
#ifndef PR_POLLER_H
#define PR_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "wire/peer.h"

struct pr_connection;
struct pr_part;
struct pr_relay;

struct pr_poller {
    struct pr_list pollers; /* of the relay */
    struct pr_part *part;   /* its lane's */
    int epoll, wake, node;
    struct pr_prober prober;
    struct pr_list ready, watch; /* connections: to be sent on; in flight */
    struct pr_list paced;        /* those that have to wait before they are sent on (wire/pace.h) */
    uint64_t next_look;          /* ns: when the first of `watch` is due */
    unsigned connections;
    bool asleep;
};

/* Before any of them runs; nothing is open yet. */
void pr_poller_init(struct pr_poller *poller, struct pr_part *part, int node);
/* 0 or -errno; closed after either. */
int pr_poller_open(struct pr_poller *poller);
void pr_poller_close(struct pr_poller *poller);

void pr_poller_wake(struct pr_poller *poller);

/* Under all locks. The one for a connection to pages on this node: near them if one is, and with few connections. */
struct pr_poller *pr_poller_for(struct pr_relay *relay, int node);
/* Under its part's lock: the connection has something to be sent. Tells whether pr_poller_wake is needed after the
 * lock. */
bool pr_poller_ready(struct pr_connection *connection);

/* While its lane reads a connection. */
#define PR_READING_EVENTS (uint32_t)(EPOLLIN | EPOLLRDHUP)

/* What epoll reports of a connection from now on, by edges, and of its end in any case. What is so already is reported
 * at once. 0 or -errno. By the poller's thread; under its part's lock where that does not have the connection yet. */
int pr_poller_listen(struct pr_connection *connection, uint32_t events);

#endif
