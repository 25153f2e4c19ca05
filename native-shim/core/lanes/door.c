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
#include "lanes/listening.h"

/* In one go; a connection costs some 10 µs. */
enum { ACCEPT_AT_ONCE = 16 };

/* Where memory is short. */
#define ACCEPT_LATER 100000000u /* ns */

/* Opening and closing. */

static bool is_for(const struct pr_door *door, const struct pr_lane *lane) {
    return door->options.node < 0 || door->options.node == lane->poller.node;
}

/* 0; -ENODEV where no lane would accept from it, -EXDEV where lanes of several nodes would. */
static int check_nodes(const struct pr_door *door) {
    const struct pr_lanes_layer *lanes = door->relay->lanes;
    const struct pr_lane *first = NULL;
    for (unsigned index = 0; index < lanes->count; index++) {
        const struct pr_lane *lane = &lanes->list[index];
        if (!is_for(door, lane)) continue;
        if (first && lane->poller.node != first->poller.node) return -EXDEV;
        first = lane;
    }
    return first ? 0 : -ENODEV;
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

/*
 * A lane must never wait in accept(), and the kernel has a flag for that only on the socket, which others may have too:
 * who has passed it on, or goes on accepting from it in another process. It stays set. Whoever shares a listening
 * socket can be beaten to a connection and would wait for the next one, so who accepts from one that is shared has to
 * set it as well; one that only keeps the socket open sees no difference.
 */
static int never_wait(int fd) {
    int flags = pr_sys.fcntl(fd, F_GETFL, 0);
    if (flags >= 0 && (flags & O_NONBLOCK)) return 0;
    return flags < 0 || pr_sys.fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* Under all locks. */
static int add_door(struct pr_door *door) {
    struct pr_relay *relay = door->relay;
    unsigned count = 0;
    pr_list_each(node, &relay->lanes->doors) count++;
    if (count == PR_MOST_DOORS) return -ENOSPC;
    int result = pr_events_promise(relay, 1); /* CROWDED, for good: a lane may be telling it */
    if (result == 0) result = pr_slots_add(&relay->slots, PR_KIND_DOOR, door, &door->id);
    if (result == 0) pr_list_append(&relay->lanes->doors, &door->doors);
    return result;
}

static int open_door(struct pr_door *door, int fd, int family) {
    int yes = 1;
    door->fd = pr_sys.dup(fd);
    if (door->fd < 0) return -errno;
    int result = never_wait(door->fd);
    if (result < 0) return result;
    /* What is accepted inherits it, as Node would set it: a short last packet waits for no acknowledgement. */
    if (family != AF_UNIX && pr_sys.setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0) return -errno;
    pace_nothing(door->fd);
    struct pr_relay *relay = door->relay;
    pr_lock(relay);
    result = add_door(door);
    pr_unlock(relay);
    for (unsigned index = 0; index < relay->lanes->count && result == 0; index++)
        if (is_for(door, &relay->lanes->list[index])) result = listen_at(&relay->lanes->list[index], door);
    return result;
}

int pr_door_open(struct pr_relay *relay, int fd, const struct pr_door_options *options, uint64_t *id) {
    int family = pr_listening_family(fd);
    if (family < 0) return family;
    struct pr_door *door = pr_allocate(1, sizeof *door);
    if (!door) return -ENOMEM;
    door->relay = relay;
    door->options = *options;
    door->fd = -1;
    pr_list_init(&door->doors);
    int result = check_nodes(door);
    if (result == 0) result = open_door(door, fd, family);
    *id = door->id;
    if (result == 0) return 0;
    if (door->id > 0)
        pr_door_close(relay, door->id);
    else
        close_door(door);
    return result;
}

int pr_door_descriptor(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    const struct pr_door *door = pr_slots_find(&relay->slots, PR_KIND_DOOR, id);
    int fd = door ? door->fd : -EBADF;
    pr_unlock(relay);
    return fd;
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
        if (pr_accept_newcomer(lane, door) >= 0) {
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

/* All that are for this lane, pinned. */
static size_t pin_doors(const struct pr_lane *lane, struct pr_door *doors[PR_MOST_DOORS]) {
    struct pr_relay *relay = lane->relay;
    size_t count = 0;
    pr_lock(relay);
    pr_list_each(node, &relay->lanes->doors) {
        struct pr_door *door = pr_container(node, struct pr_door, doors);
        if (!is_for(door, lane)) continue;
        door->pins++;
        doors[count++] = door;
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
    struct pr_door *doors[PR_MOST_DOORS];
    if (lane->accept_at == UINT64_MAX || lane->accept_at > pr_now()) return;
    if (lane->newcomer >= 0 && !pr_settle_newcomer(lane)) return; /* others wait behind it */
    size_t count = pin_doors(lane, doors);
    lane->accept_at = UINT64_MAX;
    for (size_t index = 0; index < count; index++) {
        uint64_t again = answer(lane, doors[index]);
        if (again < lane->accept_at) lane->accept_at = again;
        unpin(doors[index]);
    }
}
