#include "http/sending.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "http/layer.h"
#include "wire/done.h"
#include "wire/hold.h"

/* A body that is copied can be followed by our FIN at once; others have to be done before (docs/done.md). */
enum { COPY_BEFORE_CLOSE = 64 << 10 };

/* Under its lane's lock: what others may have done to it meanwhile. */
static bool is_gone(const struct pr_connection *connection) {
    return pr_node_has_closed(connection) || pr_is_broken(connection);
}

/*
 * Where the body begins in what the connection has ever sent. It is asked for once: as long as the lane reads the
 * connection, nobody else sends.
 */
static uint64_t body_start(struct pr_connection *connection, size_t head_length, uint64_t length) {
    struct pr_responder *responder = connection->responder;
    if (!responder->knows_position) responder->position = pr_position(connection->fd);
    responder->knows_position = true;
    uint64_t start = responder->position + head_length;
    responder->position = start + length;
    return start;
}

/* By a unix socket a copy of so little, in one call with its head, is no dearer, and is done at once
 * (docs/performance.md).
 */
enum { COPY_BELOW_BY_UNIX = 16 << 10 };

static bool is_copied(const struct pr_connection *connection, const struct pr_publication *is, uint64_t length) {
    const struct pr_responder *responder = connection->responder;
    bool closes_soon = responder->closes && length <= COPY_BEFORE_CLOSE;
    bool is_first = responder->knows_position && responder->position == 0;
    return length < is->copy_below || (is_first && length < is->copy_first_below) || closes_soon ||
           (pr_is_unix(&connection->peer) && length < COPY_BELOW_BY_UNIX);
}

/* A peer is classified before its first answer that is not copied. */
static enum pr_engine engine_for(struct pr_connection *connection, const struct pr_publication *is, uint64_t length) {
    if (is_copied(connection, is, length)) return PR_ENGINE_COPY;
    enum pr_engine engine = is->large_from == 0 || length < is->large_from ? is->engine : is->large;
    if (engine == PR_ENGINE_COPY) return engine;
    if (!connection->classified) pr_connection_classify(connection, &connection->poller->prober, false);
    return connection->peer.kind == PR_PEER_UNASKABLE || connection->upper_layer ? PR_ENGINE_COPY : engine;
}

static size_t write_head(struct pr_connection *connection, char *into) {
    const struct pr_responder *responder = connection->responder;
    struct pr_lane_http *http = pr_http_of(connection);
    return pr_answer_head(into, responder->published, &http->validators, &responder->answer, !responder->closes,
                          connection->relay->http->responding.keep_alive, &http->head_end);
}

/* Under its lane's lock. What was withdrawn meanwhile is nobody's to answer: others may write to its file from then on.
 */
static int take_pages_of_answer(struct pr_connection *connection, struct pr_transmission *transmission) {
    const struct pr_published *published = connection->responder->published;
    const struct pr_validators *now = &pr_http_of(connection)->validators;
    if (is_gone(connection)) return -ECONNRESET;
    if (published->is_withdrawn) return -ESTALE;
    if (connection->relay->http->suspended) return -EAGAIN; /* the tree's lock was given up meanwhile */
    return pr_hold_take(pr_part_of(connection), connection->responder->generation, now->epoch, now->version,
                        transmission);
}

/*
 * Under its lane's lock: the close follows in this turn, for nothing is to be waited for, nobody else has its
 * descriptor, and nothing has come behind the request, which Node would have to see.
 */
static bool closes_at_once(const struct pr_connection *connection, bool is_last) {
    return connection->responder->closes && is_last && connection->at_door && pr_list_empty(&connection->undone);
}

int pr_send_body(struct pr_connection *connection, bool is_last) {
    struct pr_responder *responder = connection->responder;
    const struct pr_publication *is = &responder->published->is;
    struct pr_segment extent = {.offset = responder->answer.offset, .length = responder->answer.length};
    struct pr_transmission *transmission = pr_hold_new(engine_for(connection, is, extent.length), &extent, 1);
    if (!transmission) return -ENOMEM;
    char *head = pr_http_of(connection)->head;
    size_t head_length = write_head(connection, head);
    uint64_t start = body_start(connection, head_length, extent.length);
    pr_connection_lock(connection);
    transmission->ends = transmission->engine == PR_ENGINE_COPY && closes_at_once(connection, is_last);
    int result = take_pages_of_answer(connection, transmission);
    if (result == 0) pr_begin(connection, transmission, head, head_length, start, responder->begun);
    pr_connection_unlock(connection);
    if (result < 0) pr_free(transmission);
    return result;
}

/* How many bytes the socket takes: 0 for none now, or -errno. `more`: what follows at once leaves in their packet. */
static ssize_t send_some(struct pr_connection *connection, const char *bytes, size_t length, bool more) {
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    ssize_t sent;
    do sent = pr_sys.send(connection->fd, bytes, length, flags);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : errno == EAGAIN ? 0 : -errno;
}

int pr_send_head(struct pr_connection *connection, bool is_last) {
    struct pr_responder *responder = connection->responder;
    const char *head = pr_http_of(connection)->head;
    size_t length = write_head(connection, pr_http_of(connection)->head);
    body_start(connection, length, 0);
    pr_connection_lock(connection);
    bool ends = closes_at_once(connection, is_last);
    pr_connection_unlock(connection);
    ssize_t sent = send_some(connection, head, length, ends);
    if (sent < 0) return (int)sent;
    if ((size_t)sent == length) return 0;
    responder->unsent = pr_unread_new(head + sent, length - (size_t)sent);
    if (responder->unsent) return 0;
    return sent > 0 ? -EPIPE : -ENOMEM; /* what was begun, nobody else may answer */
}

int pr_send_unsent(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    struct pr_unread *unsent = responder->unsent;
    if (!unsent) return 1;
    ssize_t sent = send_some(connection, unsent->bytes + unsent->at, unsent->length - unsent->at, false);
    if (sent < 0) return (int)sent;
    unsent->at += (size_t)sent;
    if (unsent->at < unsent->length) return 0;
    pr_free(unsent);
    responder->unsent = NULL;
    return 1;
}
