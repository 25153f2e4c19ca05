#include "wire/zerocopy.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "pages/mapping.h"
#include "wire/connection.h"
#include "wire/ledger.h"

/*
 * Sends below this are copied on purpose: pinning pages and a notification cost more than copying so few bytes
 * (Documentation/networking/msg_zerocopy.rst: it pays above about 10 KB). Not measurable here: without a network card
 * the kernel copies in any case (docs/zero-copy.md).
 */
enum { LEAST = 10 << 10 };

/* Whether another process has sent so on this connection: the kernel goes on with its numbers, which no ledger here
 * has. */
static bool was_used(int fd) {
    int on = 0;
    socklen_t length = sizeof on;
    return pr_sys.getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, &length) == 0 && on;
}

int pr_zerocopy_prepare(struct pr_connection *connection) {
    int on = 1;
    if (connection->ledger) return 0;
    if (was_used(connection->fd)) return -EALREADY;
    if (pr_sys.setsockopt(connection->fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) < 0) return -errno;
    connection->ledger = pr_allocate(1, sizeof *connection->ledger);
    return connection->ledger ? 0 : -ENOMEM;
}

/* The error queue. */

struct notice {
    uint32_t first, last;
    bool copied;
};

/* One message of the queue: 1 when it is a notice, 0 when it is something else, or -errno. */
static int read_notice(int fd, struct notice *notice) {
    char control[128];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    if (pr_sys.errqueue(fd, &message) < 0) return -errno;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        bool four = part->cmsg_level == SOL_IP && part->cmsg_type == IP_RECVERR;
        bool six = part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_RECVERR;
        struct sock_extended_err error;
        if (!four && !six) continue;
        memcpy(&error, CMSG_DATA(part), sizeof error);
        if (error.ee_origin != SO_EE_ORIGIN_ZEROCOPY || error.ee_errno != 0) continue;
        *notice = (struct notice){.first = error.ee_info, .last = error.ee_data};
        notice->copied = (error.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) != 0;
        return 1;
    }
    return 0;
}

/* Under its lane's lock. */
static void count_copied(struct pr_connection *connection) {
    pr_part_of(connection)->counters.copied_bytes[PR_ENGINE_ZEROCOPY] += connection->ledger->copied_bytes;
    pr_part_of(connection)->counters.uncopied_bytes[PR_ENGINE_ZEROCOPY] += connection->ledger->uncopied_bytes;
    connection->ledger->copied_bytes = connection->ledger->uncopied_bytes = 0;
}

void pr_zerocopy_drain(struct pr_connection *connection) {
    struct notice notice = {0};
    int result;
    while (connection->ledger && (result = read_notice(connection->fd, &notice)) != -EAGAIN) {
        if (result == -EINTR || result == 0) continue;
        if (result < 0) return;
        pr_connection_lock(connection);
        uint32_t ended = pr_ledger_end(connection->ledger, notice.first, notice.last, notice.copied);
        pr_part_of(connection)->counters.zerocopy_sends[notice.copied ? PR_ZEROCOPY_COPIED : PR_ZEROCOPY_UNCOPIED] +=
            ended;
        if (ended > 0) connection->progress_at = pr_now();
        count_copied(connection);
        pr_connection_unlock(connection);
    }
}

uint64_t pr_zerocopy_done(const struct pr_connection *connection, const struct pr_transmission *transmission) {
    const struct pr_ledger *ledger = connection->ledger;
    if (!ledger || pr_ledger_empty(ledger)) return transmission->reference.sent;
    return ledger->position < transmission->reference.sent ? ledger->position : transmission->reference.sent;
}

/* Sending. */

static ssize_t send_copied(struct pr_connection *connection, const struct pr_chunk *chunk) {
    ssize_t sent = pr_engine_send_copied(connection->fd, chunk);
    if (sent <= 0) return sent;
    pr_connection_lock(connection);
    pr_part_of(connection)->counters.zerocopy_sends[PR_ZEROCOPY_NOT_TRIED]++;
    pr_part_of(connection)->counters.copied_bytes[PR_ENGINE_ZEROCOPY] += (uint64_t)sent;
    pr_connection_unlock(connection);
    return sent;
}

/* Under its lane's lock, before the send: its end can be told before this thread goes on. */
static bool push_to_ledger(struct pr_connection *connection, uint64_t position) {
    pr_connection_lock(connection);
    struct pr_ledger *ledger = connection->ledger;
    bool room = !pr_ledger_full(ledger);
    if (pr_ledger_empty(ledger)) ledger->position = position;
    if (room) pr_ledger_push(ledger, position);
    pr_connection_unlock(connection);
    return room;
}

static void correct(struct pr_connection *connection, uint64_t before, uint32_t length) {
    pr_connection_lock(connection);
    pr_ledger_correct(connection->ledger, before + length, length);
    count_copied(connection);
    pr_connection_unlock(connection);
}

static ssize_t send_uncopied(struct pr_connection *connection, struct pr_transmission *transmission, const char *bytes,
                             size_t length, int flags) {
    if (!push_to_ledger(connection, transmission->reference.sent)) return -EAGAIN;
    ssize_t sent = pr_sys.send(connection->fd, bytes, length, flags | MSG_ZEROCOPY);
    int error = errno;
    correct(connection, transmission->reference.sent, sent > 0 ? (uint32_t)sent : 0);
    return sent >= 0 ? sent : error == EFAULT ? 0 : -error;
}

/* Where the part is in memory, and how much of it at once; NULL where no mapping can be had. */
static const char *in_memory(struct pr_transmission *transmission, struct pr_chunk *part) {
    const struct pr_generation *generation = part->generation;
    if (generation->address) return generation->address + part->offset;
    if (pr_is_out_of_reach(generation)) return NULL;
    int64_t covered = pr_file_window_move(&transmission->window, generation, part->offset);
    if (covered < 0) return NULL;
    if ((uint64_t)covered < part->length) part->length = (size_t)covered;
    return transmission->window.address + (part->offset - transmission->window.offset);
}

static ssize_t send_mapped(struct pr_connection *connection, struct pr_transmission *transmission,
                           struct pr_chunk *part, bool more) {
    const char *bytes = in_memory(transmission, part);
    if (!bytes) return -ENOBUFS;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    ssize_t sent = send_uncopied(connection, transmission, bytes, part->length, flags);
    if (sent == -ENOBUFS) { /* optmem or RLIMIT_MEMLOCK is spent: notices that were read give some back */
        pr_zerocopy_drain(connection);
        sent = send_uncopied(connection, transmission, bytes, part->length, flags);
    }
    return sent > 0 ? pr_engine_still_present(part, sent) : sent;
}

ssize_t pr_zerocopy_step(struct pr_connection *connection, struct pr_transmission *transmission,
                         const struct pr_chunk *chunk) {
    struct pr_chunk part = *chunk;
    ssize_t length = pr_engine_present(chunk);
    if (length <= 0) return length;
    bool hole;
    int64_t alike = pr_data_or_hole(chunk->generation, chunk->offset, (uint64_t)length, &hole);
    if (alike < 0) return (ssize_t)alike;
    part.length = (size_t)alike;
    part.more = part.length < chunk->length || chunk->more;
    if (hole || part.length < LEAST) return send_copied(connection, &part);
    ssize_t sent = send_mapped(connection, transmission, &part, part.more);
    return sent == -ENOBUFS ? send_copied(connection, &part) : sent;
}
