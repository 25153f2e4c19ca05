#include "lanes/room.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "lanes/door.h"
#include "lanes/layer.h"
#include "wire/client.h"
#include "wire/proxied.h"

/* Node needs some milliseconds to close an idle connection of its own. */
#define PATIENCE  100000000u /* ns; then a newcomer is refused */
#define ASK_EVERY 20000000u  /* ns; while one that was asked to close is still open */

static int spare_descriptor(void) {
    return pr_sys.open(AT_FDCWD, "/dev/null", false, O_RDONLY | O_CLOEXEC);
}

/* Whether there is a spare descriptor, or can be one again. */
static bool has_spare(struct pr_lanes_layer *lanes) {
    if (lanes->spare >= 0) return true;
    int fd = spare_descriptor();
    if (fd < 0) return false;
    int before = atomic_exchange(&lanes->spare, fd); /* another lane may have done the same */
    if (before >= 0) close(before);
    return true;
}

int pr_accept_newcomer(struct pr_lane *lane, const struct pr_door *door) {
    int fd = pr_peer_accept(door->fd, &lane->newcomer_peer);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        int spare = atomic_exchange(&lane->relay->lanes->spare, -1);
        if (spare < 0) return -1;
        close(spare);
        fd = pr_peer_accept(door->fd, &lane->newcomer_peer);
        int error = errno;
        if (fd < 0) has_spare(lane->relay->lanes);
        errno = error;
    }
    if (fd < 0) return fd;
    lane->newcomer = fd;
    lane->newcomer_by = door->options;
    lane->newcomer_at = pr_now();
    return fd;
}

/* Under all locks, what lanes count each for themselves. */
static uint64_t of_all_parts(const struct pr_relay *relay, bool shared) {
    uint64_t sum = 0;
    for (unsigned index = 0; index < relay->part_count; index++)
        sum += shared ? relay->parts[index].counters.shared : relay->parts[index].counters.leaving;
    return sum;
}

/* Under all locks. */
static bool there_is_room(const struct pr_relay *relay) {
    const struct pr_limits *limits = &relay->limits[PR_ELSEWHERE]; /* alike for all places */
    const struct pr_counters *now = &pr_node_part(relay)->counters;
    if (limits->short_of_memory) return false;
    uint64_t descriptors = now->connections + of_all_parts(relay, true) + now->files;
    if (limits->descriptors > 0 && descriptors >= limits->descriptors) return false;
    return limits->connections == 0 || now->connections < limits->connections;
}

/* Under all locks. Returns the poller to wake; NULL when nobody was asked. */
static struct pr_poller *ask_for_room(struct pr_relay *relay) {
    uint64_t now = pr_now();
    if (of_all_parts(relay, false) > 0 && now < relay->lanes->room_asked_at + ASK_EVERY) return NULL;
    relay->lanes->room_asked_at = now;
    struct pr_poller *asked = relay->lanes->serving->make_room(relay);
    pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_CROWDED, .bytes = asked ? 1 : 0});
    return asked;
}

static void let_in(struct pr_lane *lane) {
    struct pr_connection *connection;
    int fd = lane->newcomer;
    lane->newcomer = -1;
    /* Which peers may be in this kernel without being seen is Node's to say: it has no doors then. */
    if (pr_connection_new(lane->relay, fd, &lane->newcomer_peer, lane->poller.node, &connection) < 0)
        close(fd); /* there is no memory */
    else {
        connection->door = (uint8_t)lane->newcomer_by.number;
        connection->any_host = lane->newcomer_by.any_host;
        connection->is_trusted = pr_is_trusted(lane->relay, &lane->newcomer_peer.there);
        connection->awaits_proxy = connection->is_trusted && lane->newcomer_by.takes_proxy;
        lane->relay->lanes->serving->let_in(connection);
    }
}

static void refuse(struct pr_lane *lane, enum pr_limited why) {
    struct pr_relay *relay = lane->relay;
    int fd = lane->newcomer;
    lane->newcomer = -1;
    pr_lock_part(lane->poller.part);
    lane->poller.part->counters.limited[why]++;
    pr_unlock_part(lane->poller.part);
    relay->lanes->serving->refuse(relay, fd, why);
}

/* Under all locks: of one for which there is no room. */
static enum pr_limited why_not_let_in(const struct pr_relay *relay, bool is_allowed) {
    if (!is_allowed) return PR_LIMITED_CONNECTIONS_PER_ADDRESS;
    return relay->limits[PR_ELSEWHERE].short_of_memory ? PR_LIMITED_MEMORY : PR_LIMITED_CONNECTIONS;
}

bool pr_settle_newcomer(struct pr_lane *lane) {
    struct pr_relay *relay = lane->relay;
    bool spare = has_spare(relay->lanes);
    pr_lock(relay);
    bool is_allowed = pr_client_has_room(relay, &lane->newcomer_peer);
    bool room = is_allowed && spare && there_is_room(relay);
    struct pr_poller *asked = is_allowed && !room ? ask_for_room(relay) : NULL;
    enum pr_limited why = why_not_let_in(relay, is_allowed);
    pr_unlock(relay);
    if (asked && asked != &lane->poller) pr_poller_wake(asked);
    if (is_allowed && !room && pr_now() < lane->newcomer_at + PATIENCE) {
        /* What it closes itself it does in this round. */
        lane->accept_at = asked == &lane->poller ? 0 : pr_now() + 1000000;
        return false;
    }
    if (room)
        let_in(lane);
    else
        refuse(lane, why);
    return true;
}

void pr_room_open(struct pr_relay *relay) {
    relay->lanes->spare = -1;
}

void pr_room_close(struct pr_relay *relay) {
    for (unsigned index = 0; index < relay->lanes->count; index++)
        if (relay->lanes->list[index].newcomer >= 0) close(relay->lanes->list[index].newcomer);
    if (relay->lanes->spare >= 0) close(relay->lanes->spare);
}
