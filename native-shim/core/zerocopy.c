#include "zerocopy.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "ledger.h"
#include "state.h"
#include "sys.h"

/*
 * Sends below this are copied on purpose: pinning pages and a notification cost more than copying so few bytes
 * (Documentation/networking/msg_zerocopy.rst: it pays above about 10 KB). Not measurable here: without a network card
 * the kernel copies in any case (docs/zero-copy.md).
 */
enum { LEAST = 10 << 10 };

int pr_zerocopy_prepare(struct pr_connection *connection) {
    int on = 1;
    if (connection->ledger) return 0;
    if (setsockopt(connection->fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) < 0) return -errno;
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

/* Under the lock. */
static void count_copied(struct pr_connection *connection) {
    connection->relay->counters.copied_bytes[PR_ENGINE_ZEROCOPY] += connection->ledger->copied_bytes;
    connection->relay->counters.uncopied_bytes[PR_ENGINE_ZEROCOPY] += connection->ledger->uncopied_bytes;
    connection->ledger->copied_bytes = connection->ledger->uncopied_bytes = 0;
}

void pr_zerocopy_drain(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct notice notice = {0};
    int result;
    while (connection->ledger && (result = read_notice(connection->fd, &notice)) != -EAGAIN) {
        if (result == -EINTR || result == 0) continue;
        if (result < 0) return;
        pr_lock(relay);
        uint32_t ended = pr_ledger_end(connection->ledger, notice.first, notice.last, notice.copied);
        relay->counters.zerocopy_sends[notice.copied ? PR_ZEROCOPY_COPIED : PR_ZEROCOPY_UNCOPIED] += ended;
        if (ended > 0) connection->progress_at = pr_now();
        count_copied(connection);
        pr_unlock(relay);
    }
}

uint64_t pr_zerocopy_done(const struct pr_connection *connection, const struct pr_transmission *transmission) {
    const struct pr_ledger *ledger = connection->ledger;
    if (!ledger || pr_ledger_empty(ledger)) return transmission->sent;
    return ledger->position < transmission->sent ? ledger->position : transmission->sent;
}

/* Sending. */

static ssize_t send_copied(struct pr_connection *connection, const struct pr_chunk *chunk, int flags) {
    ssize_t sent = pr_sys.send(connection->fd, chunk->generation->address + chunk->offset, chunk->length, flags);
    if (sent < 0) return errno == EFAULT ? 0 : -errno;
    pr_lock(connection->relay);
    connection->relay->counters.zerocopy_sends[PR_ZEROCOPY_NOT_TRIED]++;
    connection->relay->counters.copied_bytes[PR_ENGINE_ZEROCOPY] += (uint64_t)sent;
    pr_unlock(connection->relay);
    return sent;
}

/* Under the lock, before the send: its end can be told before this thread goes on. */
static bool enter(struct pr_connection *connection, uint64_t position) {
    pr_lock(connection->relay);
    struct pr_ledger *ledger = connection->ledger;
    bool room = !pr_ledger_full(ledger);
    if (pr_ledger_empty(ledger)) ledger->position = position;
    if (room) pr_ledger_push(ledger, position);
    pr_unlock(connection->relay);
    return room;
}

static void correct(struct pr_connection *connection, uint64_t before, uint32_t length) {
    pr_lock(connection->relay);
    pr_ledger_correct(connection->ledger, before + length, length);
    count_copied(connection);
    pr_unlock(connection->relay);
}

static ssize_t send_uncopied(struct pr_connection *connection, struct pr_transmission *transmission,
                             const struct pr_chunk *chunk, int flags) {
    if (!enter(connection, transmission->sent)) return -EAGAIN;
    const char *bytes = chunk->generation->address + chunk->offset;
    ssize_t sent = pr_sys.send(connection->fd, bytes, chunk->length, flags | MSG_ZEROCOPY);
    int error = errno;
    correct(connection, transmission->sent, sent > 0 ? (uint32_t)sent : 0);
    return sent >= 0 ? sent : error == EFAULT ? 0 : -error;
}

static ssize_t send_part(struct pr_connection *connection, struct pr_transmission *transmission,
                         const struct pr_chunk *part, int flags) {
    if (part->length < LEAST) return send_copied(connection, part, flags);
    ssize_t sent = send_uncopied(connection, transmission, part, flags);
    if (sent == -ENOBUFS) { /* optmem or RLIMIT_MEMLOCK is spent: notices that were read give some back */
        pr_zerocopy_drain(connection);
        sent = send_uncopied(connection, transmission, part, flags);
    }
    return sent == -ENOBUFS ? send_copied(connection, part, flags) : sent;
}

ssize_t pr_zerocopy_step(struct pr_connection *connection, struct pr_transmission *transmission,
                         const struct pr_chunk *chunk) {
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (chunk->more ? MSG_MORE : 0);
    ssize_t length = pr_engine_present(chunk);
    if (length <= 0) return length;
    struct pr_chunk part = *chunk;
    part.length = (size_t)length;
    ssize_t sent = send_part(connection, transmission, &part, flags);
    return sent > 0 ? pr_engine_still_present(&part, sent) : sent;
}
