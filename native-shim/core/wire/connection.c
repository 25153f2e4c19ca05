#include "wire/connection.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "wire/client.h"
#include "wire/done.h"
#include "wire/hold.h"
#include "wire/keep.h"
#include "wire/layer.h"
#include "wire/proxied.h"

/* Closing a socket with received bytes unread makes the kernel reset it, and a reset can cut the peer's tail. */
static void discard_received(int fd) {
    enum { READS = 16, AT_ONCE = 1 << 20 };
    for (int reads = 0; reads < READS; reads++)
        if (pr_sys.discard(fd, AT_ONCE, MSG_DONTWAIT) <= 0) return;
}

static void dispose_connection(struct pr_connection *connection) {
    pr_assert(connection->pins == 0 && !connection->current && pr_list_empty(&connection->undone));
    if (connection->fd >= 0) {
        /* epoll knows the open file, not the number: it would go on reporting for a descriptor that Node still has. */
        if (connection->listens && !connection->at_door)
            pr_sys.epoll_ctl(connection->poller->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
        bool unread = !connection->all_read && pr_node_has_closed(connection) && !pr_is_reset(connection);
        if (unread) discard_received(connection->fd);
        close(connection->fd);
    }
    pr_free(connection->ledger);
    pr_free(connection->unread);
    pr_free(connection->proxied);
    pr_free(connection);
}

/* Nobody finds it any more. */
static void unregister_connection(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    pr_lock(relay);
    if (!pr_list_empty(&connection->broken_off)) pr_node_part(relay)->counters.broken_off--;
    pr_list_remove(&connection->broken_off);
    pr_assert(connection->poller->connections > 0);
    connection->poller->connections--;
    pr_node_part(relay)->counters.connections--;
    pr_events_forgo(relay, PR_EVENTS_OF_ONE);
    pr_client_leave(connection);
    pr_slots_remove(&relay->slots, connection->id);
    pr_unlock(relay);
}

static void dispose_unused_connection(struct pr_garbage *garbage) {
    struct pr_connection *connection = pr_container(garbage, struct pr_connection, garbage);
    unregister_connection(connection);
    dispose_connection(connection);
}

struct pr_connection *pr_connection_find(struct pr_relay *relay, uint64_t id) {
    pr_lock_part(pr_node_part(relay));
    struct pr_connection *connection = pr_slots_find(&relay->slots, PR_KIND_CONNECTION, id);
    if (connection)
        pr_connection_lock(connection);
    else
        pr_unlock_part(pr_node_part(relay));
    return connection;
}

struct pr_transmission *pr_connection_carries(const struct pr_connection *connection, uint64_t id) {
    if (connection->current && connection->current->id == id) return connection->current;
    pr_list_each(node, &connection->undone) {
        struct pr_transmission *transmission = pr_container(node, struct pr_transmission, undone);
        if (transmission->id == id) return transmission;
    }
    return NULL;
}

/* Limits. */

const struct pr_limits *pr_limits_of(const struct pr_connection *connection) {
    return &connection->relay->limits[pr_is_of_this_machine(&connection->peer) ? PR_HERE : PR_ELSEWHERE];
}

/* Opening. */

static struct pr_connection *allocate(struct pr_relay *relay) {
    struct pr_connection *connection = pr_allocate(1, sizeof *connection);
    if (!connection) return NULL;
    connection->relay = relay;
    connection->phase = PR_PHASE_NODE;
    connection->fd = -1;
    pr_list_init(&connection->undone);
    pr_list_init(&connection->ready);
    pr_list_init(&connection->paced);
    pr_list_init(&connection->watch);
    pr_list_init(&connection->broken_off);
    pr_garbage_init(&connection->garbage, dispose_unused_connection);
    return connection;
}

void pr_connection_classify(struct pr_connection *connection, struct pr_prober *prober, bool unaskable) {
    struct pr_relay *relay = connection->relay;
    struct pr_peer peer = connection->peer;
    pr_peer_classify(prober, connection->fd, &peer);
    if (PR_PRETENDS(relay, peers)) peer.kind = (enum pr_peer_kind)(PR_PRETENDS(relay, peers) - 1);
    if (unaskable && peer.kind == PR_PEER_REMOTE) peer.kind = PR_PEER_UNASKABLE;
    pr_connection_lock(connection);
    connection->peer = peer;
    connection->classified = true;
    pr_connection_unlock(connection);
}

/* Under all locks. */
static int register_connection(struct pr_connection *connection, int node) {
    struct pr_relay *relay = connection->relay;
    int result = pr_events_promise(relay, PR_EVENTS_OF_ONE);
    if (result < 0) return result;
    result = pr_slots_add(&relay->slots, PR_KIND_CONNECTION, connection, &connection->id);
    if (result < 0) {
        pr_events_forgo(relay, PR_EVENTS_OF_ONE);
        return result;
    }
    pr_node_part(relay)->counters.connections++;
    connection->poller = pr_poller_for(relay, node);
    connection->poller->connections++;
    pr_client_join(connection);
    pr_pace_begin(connection);
    return 0;
}

int pr_connection_new(struct pr_relay *relay, int fd, const struct pr_peer *peer, int node,
                      struct pr_connection **made) {
    struct pr_connection *connection = allocate(relay);
    if (!connection) return -ENOMEM;
    connection->fd = fd;
    connection->peer = *peer;
    connection->peer.kind = PR_PEER_UNASKABLE; /* until it is classified */
    pr_lock(relay);
    int result = register_connection(connection, node);
    /* With its first connection it begins to look at the clock. */
    bool wakes = result == 0 && connection->poller->connections == 1 && connection->poller->asleep;
    pr_unlock(relay);
    if (wakes) pr_poller_wake(connection->poller);
    if (result < 0) {
        connection->fd = -1;
        dispose_connection(connection);
        return result;
    }
    *made = connection;
    return 0;
}

int pr_connection_adopt(struct pr_relay *relay, int fd, bool unaskable, int node, uint64_t *id,
                        enum pr_peer_kind *kind) {
    struct pr_connection *connection;
    struct pr_peer peer;
    int ours = pr_sys.dup(fd);
    if (ours < 0) return -errno;
    int result = pr_peer_addresses(ours, &peer);
    if (result == 0) result = pr_connection_new(relay, ours, &peer, node, &connection);
    if (result < 0) {
        close(ours);
        return result;
    }
    pr_connection_classify(connection, &relay->wire->prober, unaskable);
    *id = connection->id;
    *kind = connection->peer.kind;
    return 0;
}

/* Under its lock: it has no descriptor any more, and nothing undone. */
static int forget(struct pr_connection *connection) {
    int fd = connection->fd;
    connection->fd = -1;
    pr_move(connection, PR_PHASE_CLOSED);
    return fd;
}

int pr_connection_take(struct pr_relay *relay, uint64_t id, enum pr_peer_kind *kind, bool *forgotten) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    bool there = connection->at_door && connection->phase == PR_PHASE_NODE;
    if (there) pr_pin(connection);
    pr_connection_unlock_both(connection);
    if (!there) return -EBADF;
    if (!connection->classified) pr_connection_classify(connection, &relay->wire->prober, false);
    int fd = pr_sys.dup(connection->fd), error = errno;
    if (fd < 0 && connection->listens) pr_sys.epoll_ctl(connection->poller->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    *kind = connection->peer.kind;
    pr_connection_lock(connection);
    pr_unpin(connection);
    connection->at_door = false;
    connection->shared = fd >= 0;
    if (fd >= 0) pr_part_of(connection)->counters.shared++;
    if (fd < 0) connection->listens = 0;
    if (fd >= 0 && connection->ended_at_door)
        pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_RETURNED, .id = id, .bytes = PR_RETURN_HANDED});
    *forgotten = fd < 0 && pr_list_empty(&connection->undone) && !connection->unread;
    if (*forgotten)
        fd = forget(connection);
    else if (fd < 0) {
        pr_move(connection, PR_PHASE_CLOSED);
        pr_look_soon(connection);
    }
    pr_connection_settle(connection);
    pr_connection_unlock(connection);
    return fd < 0 ? -error : fd;
}

int pr_connection_client(struct pr_relay *relay, uint64_t id, char text[PR_ADDRESS_TEXT], unsigned *port,
                         unsigned *door) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    *port = pr_client_address(connection, false, text);
    *door = connection->door;
    pr_connection_unlock_both(connection);
    return 0;
}

/* Phases. */

void pr_move(struct pr_connection *connection, enum pr_phase to) {
    enum {
        NODE = 1,
        LANE = 2,
        LEAVING = 4,
        CLOSED = 8,
        BROKEN = 16,
        BROKEN_CLOSED = 32,
        RESET = 64,
        RESET_CLOSED = 128
    };
    static const unsigned moves[] = {
        [PR_PHASE_NODE] = LANE | CLOSED | BROKEN,
        [PR_PHASE_LANE] = NODE | LEAVING | CLOSED | BROKEN,
        [PR_PHASE_LEAVING] = CLOSED | BROKEN_CLOSED,
        [PR_PHASE_CLOSED] = BROKEN_CLOSED,
        [PR_PHASE_BROKEN] = BROKEN_CLOSED | RESET,
        [PR_PHASE_BROKEN_CLOSED] = RESET_CLOSED,
        [PR_PHASE_RESET] = RESET_CLOSED,
        [PR_PHASE_RESET_CLOSED] = 0,
    };
    pr_assert(moves[connection->phase] >> to & 1);
    connection->phase = to;
}

void pr_move_to_closed(struct pr_connection *connection) {
    static const enum pr_phase closed[] = {
        [PR_PHASE_NODE] = PR_PHASE_CLOSED,
        [PR_PHASE_LANE] = PR_PHASE_LEAVING,
        [PR_PHASE_BROKEN] = PR_PHASE_BROKEN_CLOSED,
        [PR_PHASE_RESET] = PR_PHASE_RESET_CLOSED,
    };
    pr_move(connection, closed[connection->phase]);
}

/* Closing. */

/* Under its lock: Node has closed its descriptor. */
static void end_sharing(struct pr_connection *connection) {
    if (connection->shared) pr_part_of(connection)->counters.shared--;
    connection->shared = false;
}

void pr_connection_settle(struct pr_connection *connection) {
    if (connection->current || !pr_list_empty(&connection->undone)) return;
    pr_list_remove(&connection->watch);
    if (!pr_node_has_closed(connection) || connection->pins > 0 || pr_is_garbage(&connection->garbage)) return;
    pr_list_remove(&connection->ready);
    pr_list_remove(&connection->paced);
    if (connection->responder) connection->relay->wire->answering->ended(connection, PR_RETURN_CLOSED);
    if (connection->makes_room) pr_part_of(connection)->counters.leaving--;
    pr_discard_later(pr_part_of(connection), &connection->garbage);
}

bool pr_is_with_lane(const struct pr_connection *connection) {
    return connection->phase == PR_PHASE_LANE || connection->phase == PR_PHASE_LEAVING;
}

void pr_connection_unpin(struct pr_connection *connection) {
    struct pr_part *part = pr_part_of(connection);
    pr_lock_part(part);
    pr_unpin(connection);
    pr_connection_settle(connection);
    pr_unlock_part(part);
}

int pr_connection_close(struct pr_relay *relay, uint64_t id) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    struct pr_poller *poller = connection->poller;
    bool wake = false;
    if (!pr_node_has_closed(connection)) {
        end_sharing(connection);
        pr_move_to_closed(connection);
        pr_look_soon(connection);
        if (connection->responder) relay->wire->answering->finish(connection);
        if (connection->current || connection->responder) {
            connection->abort = connection->current ? -ECANCELED : 0;
            pr_poller_ready(connection);
            wake = true;
        }
        wake |= !pr_list_empty(&connection->undone);
        pr_connection_settle(connection);
    }
    pr_unlock_both(pr_node_part(relay), poller->part);
    if (wake) pr_poller_wake(poller);
    return 0;
}

int pr_connection_leave(struct pr_relay *relay, uint64_t id) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    connection->all_read = true; /* what comes is for who has it now */
    pr_connection_unlock_both(connection);
    return pr_connection_close(relay, id);
}

int pr_connection_admit(struct pr_relay *relay, uint64_t id, uint8_t door, bool any_host) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    bool may = connection->phase == PR_PHASE_NODE && !connection->responder && connection->fed == 0;
    if (may) {
        connection->is_fed = true;
        connection->door = door;
        connection->any_host = any_host;
    }
    pr_connection_unlock_both(connection);
    return may ? 0 : -EBUSY;
}

/* Under both locks. */
static void drain(struct pr_connection *connection) {
    if (connection->responder) connection->relay->wire->answering->finish(connection);
    connection->drain_wanted = true;
    pr_look_soon(connection);
}

int pr_connection_finish(struct pr_relay *relay, uint64_t id) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    struct pr_poller *poller = connection->poller;
    bool now = pr_may_finish(connection);
    if (!now) {
        pr_pin(connection);
        pr_connection_unlock_both(connection);
        pr_look(connection, &relay->wire->prober);
        pr_connection_lock_both(connection);
        now = pr_may_finish(connection);
        if (!now) drain(connection);
        pr_unpin(connection);
        pr_connection_settle(connection);
    }
    pr_unlock_both(pr_node_part(relay), poller->part);
    if (!now) pr_poller_wake(poller);
    return now;
}

/* Breaking off. */

/*
 * Our FIN tells the peer that the body ends short. Once its own FIN has come back, a peer in this kernel can't be
 * asked any more, though its process may still read. So its FIN is not let in: the peer stays in LAST_ACK, where a
 * query finds it, and whether a process has it open. Byte 13 of the TCP header: the flags; bit 0: FIN.
 * Returns false when it was too late: the peer's FIN is here already, and ours makes it vanish.
 */
static bool keep_peer_in_sight(int fd) {
    struct sock_filter drop_fin[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof drop_fin / sizeof *drop_fin, .filter = drop_fin};
    bool filtered = pr_sys.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    if (pr_sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return false;
    if (info.tcpi_state == TCP_CLOSE) return true; /* the peer reset it: its queue is gone, there is nothing to see */
    return filtered && info.tcpi_state == TCP_ESTABLISHED;
}

/* An immediate reset, even while Node holds another descriptor of the socket. */
static void reset(int fd) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    pr_sys.connect(fd, &none, sizeof none);
}

/* Under all locks. */
static void quarantine_all(struct pr_connection *connection) {
    pr_move(connection, pr_node_has_closed(connection) ? PR_PHASE_RESET_CLOSED : PR_PHASE_RESET);
    pr_list_each(node, &connection->undone) pr_hold_quarantine(pr_container(node, struct pr_transmission, undone));
    pr_list_remove(&connection->watch);
    pr_list_remove(&connection->broken_off);
}

/* Under all locks: a descriptor more under watch; beyond the limit the oldest is reset, and nobody can tell any more.
 */
static void watch_broken(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    pr_list_append(&relay->wire->broken_off, &connection->broken_off);
    pr_look_soon(connection);
    if (++pr_node_part(relay)->counters.broken_off <= relay->wire->max_broken_off) return;
    struct pr_connection *oldest = pr_container(relay->wire->broken_off.next, struct pr_connection, broken_off);
    pr_node_part(relay)->counters.broken_off--;
    reset(oldest->fd); /* one call on a socket under locks: it can't block, and the next must not overtake it */
    quarantine_all(oldest);
    pr_connection_settle(oldest);
}

void pr_end_current(struct pr_connection *connection, int error, bool tells) {
    struct pr_transmission *transmission = connection->current;
    connection->current = NULL;
    if (!transmission) return;
    enum pr_outcome outcome = pr_outcome_of(error);
    uint64_t now = pr_now();
    pr_count_outcome(transmission, outcome, now);
    struct pr_event event = {.kind = PR_EVENT_BROKEN, .outcome = outcome, .error = (int16_t)-error};
    event.bytes = transmission->reference.sent;
    event.id = transmission->id;
    if (connection->responder)
        connection->relay->wire->answering->answered(connection, transmission, outcome, -error);
    else if (tells)
        pr_event_add(connection->relay, event);
    pr_give_all_kept(transmission);
    pr_reference_cut(&transmission->reference);
    pr_reference_state(&transmission->reference, PR_BROKEN);
    pr_give_pipe_back(transmission);
    if (!pr_holds_until_done(transmission) || transmission->reference.sent == 0) pr_hold_drop(transmission, now);
}

/* Before the client can see it: what it asks for next must not be answered from the size that the file had. */
static void mark_cut(const struct pr_connection *connection) {
    pr_lock(connection->relay);
    connection->current->reference.generation->cut = true;
    pr_unlock(connection->relay);
}

void pr_break_off(struct pr_connection *connection, int error) {
    struct pr_relay *relay = connection->relay;
    if (error == -ENODATA) mark_cut(connection);
    if (pr_is_unix(&connection->peer)) {
        shutdown(connection->fd, SHUT_WR); /* it can't be reset */
    } else if (connection->peer.kind == PR_PEER_LOCAL) {
        connection->blind = !keep_peer_in_sight(connection->fd); /* others may look the moment that the FIN is out */
        shutdown(connection->fd, SHUT_WR);
    } else {
        reset(connection->fd);
    }
    pr_lock(relay);
    bool by_lane = connection->phase != PR_PHASE_NODE;
    pr_move(connection, pr_node_has_closed(connection) ? PR_PHASE_BROKEN_CLOSED : PR_PHASE_BROKEN);
    pr_end_current(connection, error, by_lane);
    if (connection->responder) relay->wire->answering->ended(connection, PR_RETURN_CLOSED);
    if (!pr_list_empty(&connection->undone)) watch_broken(connection);
    pr_unlock(relay);
    pr_look(connection, by_lane ? &connection->poller->prober : &relay->wire->prober);
}

int pr_connection_break(struct pr_relay *relay, uint64_t id) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    bool ours = connection->phase == PR_PHASE_NODE;
    if (ours) pr_pin(connection);
    pr_connection_unlock_both(connection);
    if (!ours) return -EBUSY;
    pr_break_off(connection, -ETIMEDOUT);
    pr_connection_unpin(connection);
    return 0;
}
