#include "wire/poller.h"

#include <errno.h>
#include <unistd.h>

#include "base/sys.h"
#include "wire/connection.h"
#include "wire/layer.h"

void pr_poller_init(struct pr_poller *poller, struct pr_part *part, int node) {
    *poller = (struct pr_poller){.part = part, .epoll = -1, .wake = -1, .node = node};
    poller->prober.diag = poller->prober.route = -1;
    poller->next_look = UINT64_MAX;
    pr_list_init(&poller->ready);
    pr_list_init(&poller->watch);
    pr_list_init(&poller->paced);
    pr_list_append(&part->relay->wire->pollers, &poller->pollers);
}

int pr_poller_open(struct pr_poller *poller) {
    int result = pr_prober_open(&poller->prober);
    if (result < 0) return result;
    poller->epoll = pr_sys.epoll_create();
    poller->wake = pr_sys.eventfd();
    if (poller->epoll < 0 || poller->wake < 0) return -errno;
    /* Each write is an edge, so nobody has to read it. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    return pr_sys.epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->wake, &event) < 0 ? -errno : 0;
}

void pr_poller_close(struct pr_poller *poller) {
    if (poller->wake >= 0) close(poller->wake);
    if (poller->epoll >= 0) close(poller->epoll);
    poller->wake = poller->epoll = -1;
    pr_prober_close(&poller->prober);
}

void pr_poller_wake(struct pr_poller *poller) {
    uint64_t one = 1;
    ssize_t written = pr_sys.write(poller->wake, &one, sizeof one);
    (void)written; /* it counts to 2^64 before it is full */
}

struct pr_poller *pr_poller_for(struct pr_relay *relay, int node) {
    struct pr_poller *best = NULL;
    pr_list_each(entry, &relay->wire->pollers) {
        struct pr_poller *poller = pr_container(entry, struct pr_poller, pollers);
        bool nearer = best && poller->node == node && best->node != node;
        bool as_near = best && (poller->node == node) == (best->node == node);
        if (!best || nearer || (as_near && poller->connections < best->connections)) best = poller;
    }
    return best;
}

int pr_poller_listen(struct pr_connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLET, .data.u64 = connection->id};
    if (connection->listens == event.events) return 0;
    int operation = connection->listens ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (pr_sys.epoll_ctl(connection->poller->epoll, operation, connection->fd, &event) < 0) return -errno;
    connection->listens = event.events;
    return 0;
}

bool pr_poller_ready(struct pr_connection *connection) {
    struct pr_poller *poller = connection->poller;
    if (pr_list_empty(&connection->ready)) pr_list_append(&poller->ready, &connection->ready);
    return poller->asleep;
}
