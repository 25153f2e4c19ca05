#include "lanes/door.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "lanes/lane.h"
#include "lanes/layer.h"

/* In one go; a connection costs some 10 µs. */
enum { ACCEPT_AT_ONCE = 16 };

/* Of one relay. */
enum { MOST_DOORS = 16 };

/* Where memory is short. */
#define ACCEPT_LATER 100000000u /* ns */

/* Opening and closing. */

/* Its family, or -errno. */
static int listening_family(int fd) {
    int listens = 0;
    socklen_t length = sizeof listens;
    if (pr_sys.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0) return -errno;
    int family = pr_stream_family(fd);
    return listens && family != -EPROTOTYPE ? family : -EINVAL;
}

static bool lanes_share_a_node(const struct pr_relay *relay) {
    for (unsigned index = 1; index < relay->lanes->count; index++)
        if (relay->lanes->list[index].poller.node != relay->lanes->list[0].poller.node) return false;
    return true;
}

/* Edges: a lane that can't accept now does not spin. Exclusive: one of several lanes is woken. */
static int listen_at(struct pr_lane *lane, const struct pr_door *door) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, .data.u64 = door->id};
    return pr_sys.epoll_ctl(lane->poller.epoll, EPOLL_CTL_ADD, door->fd, &event) < 0 ? -errno : 0;
}

/* Under all locks, when nobody uses it. */
static void dispose_door(struct pr_door *door) {
    if (!door->closed || door->pins > 0) return;
    if (door->fd >= 0) close(door->fd);
    pr_free(door);
}

static void close_door(struct pr_door *door) {
    struct pr_relay *relay = door->relay;
    for (unsigned index = 0; index < relay->lanes->count; index++)
        if (relay->lanes->list[index].poller.epoll >= 0)
            pr_sys.epoll_ctl(relay->lanes->list[index].poller.epoll, EPOLL_CTL_DEL, door->fd, NULL);
    pr_lock(relay);
    door->closed = true;
    dispose_door(door);
    pr_unlock(relay);
}

static bool is_loopback(int fd) {
    union pr_address address;
    socklen_t length = sizeof address;
    if (pr_sys.getsockname(fd, &address.any, &length) < 0) return false;
    if (address.any.sa_family == AF_INET) return ntohl(address.four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return address.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address.six.sin6_addr);
}

/*
 * Within one machine there is no path to be congested, and BBR has a timer wait for each packet, which takes half of
 * the time that long bodies do (docs/performance.md). A connection that has begun with it stays paced, so what accepts
 * is told. No error matters: all goes on as it would.
 */
static void pace_nothing(int fd) {
    static const char paced[] = "bbr", plain[] = "reno"; /* which every kernel has */
    char name[16] = "";
    socklen_t length = sizeof name;
    if (!is_loopback(fd) || pr_sys.getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) < 0) return;
    if (strncmp(name, paced, sizeof paced - 1) == 0)
        pr_sys.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
}

static int open_door(struct pr_door *door, int fd, int family) {
    int yes = 1, flags = pr_sys.fcntl(fd, F_GETFL, 0);
    door->fd = pr_sys.dup(fd);
    if (door->fd < 0) return -errno;
    if (flags < 0 || pr_sys.fcntl(door->fd, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    /* What is accepted inherits it, as Node would set it: a short last packet waits for no acknowledgement. */
    if (family != AF_UNIX && pr_sys.setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0) return -errno;
    pace_nothing(door->fd);
    struct pr_relay *relay = door->relay;
    pr_lock(relay);
    int result = pr_events_promise(relay, 1); /* CROWDED, for good: a lane may be telling it */
    if (result == 0) result = pr_slots_add(&relay->slots, PR_KIND_DOOR, door, &door->id);
    if (result == 0) pr_list_append(&relay->lanes->doors, &door->doors);
    pr_unlock(relay);
    for (unsigned index = 0; index < relay->lanes->count && result == 0; index++)
        result = listen_at(&relay->lanes->list[index], door);
    return result;
}

int pr_door_open(struct pr_relay *relay, int fd, uint64_t *id) {
    int family = listening_family(fd), result = lanes_share_a_node(relay) ? 0 : -EXDEV;
    if (family < 0) result = family;
    if (result < 0) return result;
    struct pr_door *door = pr_allocate(1, sizeof *door);
    if (!door) return -ENOMEM;
    door->relay = relay;
    door->fd = -1;
    pr_list_init(&door->doors);
    result = open_door(door, fd, family);
    *id = door->id;
    if (result == 0) return 0;
    if (door->id > 0)
        pr_door_close(relay, door->id);
    else
        close_door(door);
    return result;
}

int pr_door_close(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_door *door = pr_slots_find(&relay->slots, PR_KIND_DOOR, id);
    if (door) pr_slots_remove(&relay->slots, id);
    if (door) pr_list_remove(&door->doors);
    pr_unlock(relay);
    if (!door) return -EBADF;
    close_door(door);
    return 0;
}

/* Accepting. */

/* Returns when the door is to be looked at again, if it is not heard of earlier. */
static uint64_t answer(struct pr_lane *lane, struct pr_door *door) {
    for (unsigned count = 0; count < ACCEPT_AT_ONCE; count++) {
        if (pr_accept_newcomer(lane, door->fd) >= 0) {
            if (pr_settle_newcomer(lane)) continue;
            return lane->accept_at;
        }
        switch (errno) {
        case EAGAIN:
        case EBADF:
        case EINVAL: return UINT64_MAX;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: return pr_now() + ACCEPT_LATER;
        default: break; /* that client is gone, and the next may be there */
        }
    }
    return pr_now();
}

/* All of them, pinned. */
static size_t pin_doors(struct pr_relay *relay, struct pr_door *doors[MOST_DOORS]) {
    size_t count = 0;
    pr_lock(relay);
    pr_list_each(node, &relay->lanes->doors) {
        if (count == MOST_DOORS) break;
        doors[count] = pr_container(node, struct pr_door, doors);
        doors[count++]->pins++;
    }
    pr_unlock(relay);
    return count;
}

static void unpin(struct pr_door *door) {
    struct pr_relay *relay = door->relay;
    pr_lock(relay);
    pr_assert(door->pins > 0);
    door->pins--;
    dispose_door(door);
    pr_unlock(relay);
}

void pr_doors_answer(struct pr_lane *lane) {
    struct pr_door *doors[MOST_DOORS];
    if (lane->accept_at == UINT64_MAX || lane->accept_at > pr_now()) return;
    if (lane->newcomer >= 0 && !pr_settle_newcomer(lane)) return; /* others wait behind it */
    size_t count = pin_doors(lane->relay, doors);
    lane->accept_at = UINT64_MAX;
    for (size_t index = 0; index < count; index++) {
        uint64_t again = answer(lane, doors[index]);
        if (again < lane->accept_at) lane->accept_at = again;
        unpin(doors[index]);
    }
}
