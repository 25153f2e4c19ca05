#define _GNU_SOURCE
#include "clock.h"
#include "response.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BODY_ROOM = 65536 };

static void complete(struct run *run, struct connection *connection) {
    uint64_t at = now();
    histogram_add(&run->outcome.latency, at - connection->began);
    run->outcome.bytes += run->options.size;
    run->ended = at;
    connection->phase = PHASE_IDLE;
    run->idle++;
    if (run->options.fresh) connection_drop(connection);
    connection_issue(run, connection, at);
}

/* Why a whole head is not the one that was asked for, or NULL; with the number that is wrong. */
static const char *judge(const struct run *run, const struct connection *connection, const struct response *response,
                         int64_t *detail) {
    size_t extra = connection->used - response->head_length;
    *detail = response->status;
    if (response->status != (run_is_whole(run) ? 200 : 206)) return "status";
    *detail = (int64_t)response->content_length;
    if (response->content_length != run->options.size) return "wrong Content-Length";
    *detail = (int64_t)response->first;
    if (response->first != UINT64_MAX && response->first != connection->first) return "another range";
    *detail = (int64_t)extra;
    return extra > run->options.size ? "more bytes than Content-Length tells" : NULL;
}

/* Takes bytes of the body that have been read, where they are looked at. False: they are wrong. */
static bool take(struct run *run, struct connection *connection, const char *bytes, size_t count) {
    uint64_t at = connection->first + run->options.size - connection->left;
    connection->left -= count;
    if (!run->options.verify || expected_holds(&run->expected, at, bytes, count)) return true;
    connection_fail(run, connection, "a wrong byte in a body, at or after", (int64_t)at);
    return false;
}

/* Whether the body may be read. */
static bool judge_head(struct run *run, struct connection *connection) {
    struct response response;
    int64_t detail;
    switch (response_read(connection->head, connection->used, &response)) {
    case RESPONSE_INCOMPLETE:
        if (connection->used == HEAD_ROOM) connection_fail(run, connection, "a head of too many bytes", HEAD_ROOM);
        return false;
    case RESPONSE_MALFORMED: connection_fail(run, connection, "no HTTP/1.1 response", 0); return false;
    case RESPONSE_WHOLE: break;
    }
    const char *why = judge(run, connection, &response, &detail);
    if (why) {
        connection_fail(run, connection, why, detail);
        return false;
    }
    connection->left = run->options.size;
    connection->phase = PHASE_BODY;
    return take(run, connection, connection->head + response.head_length, connection->used - response.head_length);
}

/* Up to `room` bytes into `into`, or nowhere. Whether any came; a connection that ended early has failed. */
static bool receive(struct run *run, struct connection *connection, char *into, size_t room, size_t *received) {
    ssize_t got = recv(connection->fd, into, room, MSG_DONTWAIT | (into ? 0 : MSG_TRUNC));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        connection_fail(run, connection, "the connection ended early: errno", got < 0 ? errno : 0);
        return false;
    }
    *received = (size_t)got;
    return true;
}

static void progress_body(struct run *run, struct connection *connection) {
    static char body[BODY_ROOM];
    size_t got;
    if (!run->options.verify) {
        if (receive(run, connection, NULL, connection->left, &got)) connection->left -= got;
    } else {
        size_t room = connection->left < BODY_ROOM ? (size_t)connection->left : BODY_ROOM;
        if (receive(run, connection, body, room, &got)) take(run, connection, body, got);
    }
}

/* A short count has emptied the socket: epoll tells of more, and a recv that finds nothing is saved. */
void connection_progress(struct run *run, struct connection *connection) {
    if (connection->phase == PHASE_HEAD) {
        size_t got, room = HEAD_ROOM - connection->used;
        if (!receive(run, connection, connection->head + connection->used, room, &got)) return;
        connection->used += got;
        if (!judge_head(run, connection) || (got < room && connection->left > 0)) return;
    }
    if (connection->phase == PHASE_BODY && connection->left > 0) progress_body(run, connection);
    if (connection->phase == PHASE_BODY && connection->left == 0) complete(run, connection);
}

/* Bytes that nobody asked for, or the end of a connection that was to be kept. */
void connection_progress_idle(struct run *run, struct connection *connection) {
    char byte;
    size_t got;
    if (receive(run, connection, &byte, 1, &got))
        connection_fail(run, connection, "more bytes than Content-Length tells", 1);
}
