/*
 * When is a transmission done? When no later change to its pages can be seen by anyone. Neither the socket's taking
 * the bytes nor the peer's acknowledgement is enough where the peer is in this kernel: its receive queue holds the
 * very same pages.
 *
 *   remote peer   done is what it has acknowledged
 *   local peer    done is what it has acknowledged less what its process has not read
 *   unix socket   done is what our socket has taken less what it says is queued
 *   our reset     a remote peer's queue of ours is purged: done. A local peer can still read: quarantined
 *   upper layer   a protocol above TCP has taken the local peer's socket (MPTCP, kernel TLS): quarantined
 */
#include "wire/done.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "wire/connection.h"
#include "wire/hold.h"
#include "wire/layer.h"
#include "wire/zerocopy.h"

/* glibc's struct tcp_info ends before this field. The kernel's own (linux/tcp.h) clashes with <netinet/tcp.h>. */
enum { OFFSET_OF_BYTES_ACKED = 120, TCP_INFO_SIZE = 128 };

/* How often an undone connection is looked at: it doubles from the first to the last while nothing moves. */
#define LOOK_FIRST 250000000u /* ns; for a connection that only waits for its reader */
#define LOOK_SOON  1000000u   /* ns; for one that waits to be closed */
#define LOOK_LAST  2000000000u
#define MOMENT     100000000u /* ns; longer than a reset takes to arrive */

struct tcp_state {
    uint8_t state;
    uint64_t acknowledged; /* +1 once our FIN is */
};

static int tcp_state_of(int fd, struct tcp_state *state) {
    unsigned char info[TCP_INFO_SIZE] = {0};
    socklen_t length = sizeof info;
    if (pr_sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length) < 0) return -errno;
    state->state = info[0];
    memcpy(&state->acknowledged, info + OFFSET_OF_BYTES_ACKED, sizeof state->acknowledged);
    return 0;
}

/* Where the kernel does not tell. Nothing that will ever be acknowledged reaches it: the connection's end is waited
 * for.
 */
#define UNKNOWN_POSITION (UINT64_C(1) << 62)

/*
 * All that was ever written to the socket: acknowledged and not, read at one moment. Where nothing is on its way any
 * more, as mostly when a client asks again, every moment is that one.
 */
uint64_t pr_position(int fd) {
    struct tcp_state before, after = {0};
    int queued = 0;
    if (pr_sys.queued(fd, &queued) == 0 && queued == 0 && tcp_state_of(fd, &after) == 0) return after.acknowledged;
    do { /* an acknowledgement between the calls would be counted twice or not at all: then again */
        if (tcp_state_of(fd, &before) < 0 || pr_sys.queued(fd, &queued) < 0 || tcp_state_of(fd, &after) < 0)
            return UNKNOWN_POSITION;
    } while (before.acknowledged != after.acknowledged);
    return after.acknowledged + (uint64_t)queued;
}

/* What the kernel says. */

struct sight {
    bool known, all_done, lost, vanished;
    uint64_t watermark; /* bytes from the connection's start that are done */
    uint64_t acknowledged;
};

/*
 * A local peer that has sent a FIN and received ours is in no table any more, yet its process may go on reading its
 * queue. So our FIN waits until nothing is undone (pr_connection_finish), and after a break-off the peer's FIN is kept
 * from our socket (keep_peer_in_sight). `blind` is the case where both FINs could not be helped.
 *
 * An upper-layer protocol that has taken the peer's socket may have moved bytes out of its queue already, and keeps
 * them even when it has closed that socket. So from then on nothing that is seen of the peer counts, `upper_layer`
 * stays set, and what follows on this connection is copied (pr_begin).
 */
static struct sight look_at_local(struct pr_connection *connection, struct pr_prober *prober, uint64_t acknowledged) {
    uint32_t unread = 0;
    int seen = pr_peer_look(prober, &connection->peer, &unread);
    if (seen == PR_SIGHT_UPPER_LAYER) connection->upper_layer = true;
    if (connection->upper_layer) return (struct sight){.known = true, .lost = true};
    switch (seen) {
    case PR_SIGHT_QUEUE:
        return (struct sight){.known = true, .watermark = acknowledged > unread ? acknowledged - unread : 0};
    case PR_SIGHT_CLOSED:
        return (struct sight){.known = true, .all_done = !connection->blind, .lost = connection->blind};
    case PR_SIGHT_NONE: return (struct sight){.known = true, .vanished = !connection->blind, .lost = connection->blind};
    default: return (struct sight){0}; /* the question failed: ask again later */
    }
}

/*
 * A unix socket has no positions, so the connection counts the bytes of bodies that it takes; `taken` is read before
 * the socket is asked. The socket's answer counts a queued piece until all of it is read, by the memory that it takes,
 * which is never less than its bytes, and it has heads in it, which `taken` has not. So what is done is seen late,
 * never early. The queue is charged to our own socket: it is seen after our FIN, too, and is empty when the peer has
 * closed.
 */
static struct sight look_at_unix(int fd, uint64_t taken) {
    int queued = 0;
    if (pr_sys.queued(fd, &queued) < 0) return (struct sight){0};
    return (struct sight){.known = true, .watermark = taken > (uint64_t)queued ? taken - (uint64_t)queued : 0};
}

/* Asking takes the error away from Node, whose next read would then see a clean end: only after a break-off. */
static bool has_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    pr_sys.getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error != 0;
}

static struct sight sight_of(struct pr_connection *connection, struct pr_prober *prober) {
    struct tcp_state tcp;
    /* Its lane may find out just now who the peer is; what is not known yet is copied, and not looked at. */
    pr_connection_lock(connection);
    bool local = connection->classified && connection->peer.kind == PR_PEER_LOCAL;
    bool is_unix = pr_is_unix(&connection->peer);
    uint64_t taken = connection->accepted;
    pr_connection_unlock(connection);
    if (is_unix) return look_at_unix(connection->fd, taken);
    if (tcp_state_of(connection->fd, &tcp) < 0) return (struct sight){0};
    if (tcp.state == TCP_CLOSING || tcp.state == TCP_LAST_ACK) connection->blind = true; /* both FINs are out */
    if (tcp.state == TCP_CLOSE) {
        bool unseen = connection->upper_layer || (connection->blind && !has_error(connection->fd));
        bool lost = local && unseen;
        return (struct sight){.known = true, .all_done = !lost, .lost = lost};
    }
    struct sight sight = {.known = true, .watermark = tcp.acknowledged};
    if (local) sight = look_at_local(connection, prober, tcp.acknowledged);
    sight.acknowledged = tcp.acknowledged;
    return sight;
}

/* What follows from it. All under the lock of its lane. */

/*
 * No socket, and no reset either. After a break-off the peer's FIN is never answered, so that its half of the
 * connection is given up in the end (tcp_retries2, or its TCP_USER_TIMEOUT) while its process may still read. A peer
 * that closed with bytes unread looks the same until its reset is here.
 */
static void judge_vanished(struct pr_connection *connection, struct sight *sight) {
    uint64_t now = pr_now();
    if (connection->vanished_at == 0) connection->vanished_at = now;
    sight->all_done = !pr_is_broken(connection);
    sight->lost = pr_is_broken(connection) && now - connection->vanished_at > MOMENT;
    sight->known = sight->all_done || sight->lost;
}

static uint64_t done_bytes(const struct pr_transmission *transmission, const struct sight *sight) {
    if (transmission->engine == PR_ENGINE_ZEROCOPY) return pr_zerocopy_done(transmission->connection, transmission);
    if (sight->all_done) return transmission->reference.sent;
    uint64_t done = sight->watermark > transmission->start ? sight->watermark - transmission->start : 0;
    return done < transmission->reference.sent ? done : transmission->reference.sent;
}

/* Lets go of what is done; tells whether that is all of it. */
static bool finished(struct pr_transmission *transmission, const struct sight *sight, uint64_t now) {
    uint64_t done = done_bytes(transmission, sight);
    bool sending = transmission->reference.state == PR_SENDING || done < transmission->reference.total;
    if (sending)
        pr_reference_shrink(&transmission->reference, done);
    else
        pr_hold_drop(transmission, now);
    return !sending;
}

static bool is_acknowledged(const struct pr_transmission *transmission, const struct sight *sight) {
    bool whole = sight->acknowledged >= transmission->start + transmission->reference.total;
    return whole && transmission->reference.state == PR_ACCEPTED && !transmission->acknowledged;
}

static void apply(struct pr_connection *connection, const struct sight *sight) {
    uint64_t now = pr_now();
    bool moved = sight->watermark > connection->watermark;
    if (moved) connection->watermark = sight->watermark;
    pr_list_each(node, &connection->undone) {
        struct pr_transmission *transmission = pr_container(node, struct pr_transmission, undone);
        bool tells = transmission->engine == PR_ENGINE_ZEROCOPY; /* its notices come, whatever became of the peer */
        if (is_acknowledged(transmission, sight)) pr_hold_acknowledged(transmission, now);
        if (sight->lost && transmission->reference.state != PR_SENDING && !tells)
            pr_hold_quarantine(transmission);
        else if (finished(transmission, sight, now))
            moved = true;
    }
    if (!moved) return;
    connection->progress_at = now;
    pr_look_soon(connection);
}

bool pr_may_finish(const struct pr_connection *connection) {
    bool vanishes =
        connection->peer.kind == PR_PEER_LOCAL && !pr_is_unix(&connection->peer) && !pr_is_broken(connection);
    return !connection->current && !connection->responder && (!vanishes || pr_list_empty(&connection->undone));
}

void pr_tell_if_drained(struct pr_connection *connection) {
    if (!connection->drain_wanted || !pr_may_finish(connection)) return;
    connection->drain_wanted = false;
    pr_event_add(connection->relay, (struct pr_event){.kind = PR_EVENT_DRAINED, .id = connection->id});
}

void pr_look(struct pr_connection *connection, struct pr_prober *prober) {
    struct sight sight = sight_of(connection, prober);
    if (connection->ledger) pr_zerocopy_drain(connection);
    pr_connection_lock(connection);
    pr_part_of(connection)->counters.looks++;
    connection->begun_since_look = 0;
    if (sight.vanished) judge_vanished(connection, &sight);
    if (sight.known && !pr_is_reset(connection)) apply(connection, &sight);
    pr_tell_if_drained(connection);
    pr_connection_unlock(connection);
}

/* When to look. */

static bool waits_to_be_closed(const struct pr_connection *connection) {
    return connection->drain_wanted || pr_node_has_closed(connection) || pr_is_broken(connection);
}

void pr_look_soon(struct pr_connection *connection) {
    connection->look_interval = waits_to_be_closed(connection) ? LOOK_SOON : LOOK_FIRST;
    connection->look_at = pr_now() + connection->look_interval;
    if (connection->look_at < connection->poller->next_look) connection->poller->next_look = connection->look_at;
}

void pr_watch(struct pr_connection *connection) {
    if (!pr_list_empty(&connection->watch)) return;
    pr_list_append(&connection->poller->watch, &connection->watch);
    pr_rate_begin(connection);
    pr_look_soon(connection);
}

void pr_look_later(struct pr_connection *connection) {
    uint64_t longest = waits_to_be_closed(connection) ? LOOK_FIRST : LOOK_LAST;
    connection->look_interval = connection->look_interval * 2 < longest ? connection->look_interval * 2 : longest;
    connection->look_at = pr_now() + connection->look_interval;
}
