#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { BODY_ROOM = 65536, VERSION_LENGTH = 9 };

/* The number after a name in a head, or -1; the scan stops before the blank line, so that of the number does. */
static int64_t field(const char *head, const char *blank, const char *name) {
    size_t length = strlen(name);
    const char *line = head;
    while ((line = memchr(line, '\n', (size_t)(blank + 2 - line))) != NULL && ++line < blank) {
        if (strncasecmp(line, name, length) == 0) return strtoll(line + length, NULL, 10);
    }
    return -1;
}

static bool is_http(const char *bytes, size_t count) {
    static const char version[] = "HTTP/1.";
    size_t known = count < sizeof version - 1 ? count : sizeof version - 1;
    return memcmp(bytes, version, known) == 0;
}

static void complete(struct run *run, struct connection *connection) {
    const struct options *options = &run->options;
    const struct request *request = connection->request;
    uint64_t at = now();
    outcome_add(&run->outcome, at - connection->began);
    run->outcome.bytes += request->body;
    run->outcome.statuses[request->status]++;
    run->ended = at;
    connection->phase = PHASE_IDLE;
    run->idle++;
    if (options->per_connection > 0 && connection->asked == options->per_connection) connection_drop(connection);
    connection_issue(run, connection, at);
}

/* Why a whole head is not the one that was asked for, or NULL; with the number that is wrong, or of bytes behind it. */
static const char *judge(const struct connection *connection, const char *blank, int64_t *detail) {
    const struct request *request = connection->request;
    const char *head = connection->head;
    *detail = strtol(head + VERSION_LENGTH, NULL, 10);
    if (*detail != request->status) return "status";
    *detail = field(head, blank, "Content-Length:");
    if (request->told >= 0 && *detail != request->told) return "wrong Content-Length";
    *detail = field(head, blank, "Content-Range: bytes ");
    if (request->first >= 0 && *detail >= 0 && *detail != request->first) return "another range";
    *detail = head + connection->used - (blank + 4);
    return *detail > (int64_t)request->body ? "more bytes than were asked for" : NULL;
}

/* Takes bytes of the body that have been read, where they are looked at. False: they are wrong. */
static bool take(struct run *run, struct connection *connection, const char *bytes, size_t count) {
    const struct request *request = connection->request;
    uint64_t at = request->base + request->body - connection->left;
    connection->left -= count;
    if (!run->expected) return true;
    bool inside = at <= run->expected_length && count <= run->expected_length - at;
    if (inside && memcmp(run->expected + at, bytes, count) == 0) return true;
    connection_fail(run, connection, "a wrong byte in a body, at or after", (int64_t)at);
    return false;
}

/* Whether the body may be read. */
static bool judge_head(struct run *run, struct connection *connection) {
    int64_t detail = (int64_t)connection->used;
    const char *why = is_http(connection->head, connection->used) ? NULL : "no HTTP/1 response";
    const char *blank = memmem(connection->head, connection->used, "\r\n\r\n", 4);
    if (!why && !blank && connection->used == HEAD_ROOM) why = "a head of too many bytes";
    if (!why && blank) why = judge(connection, blank, &detail);
    if (why) connection_fail(run, connection, why, detail);
    if (why || !blank) return false;
    connection->left = connection->request->body;
    connection->phase = PHASE_BODY;
    return take(run, connection, blank + 4, (size_t)detail);
}

/* Up to `room` bytes into `into`, or nowhere. Whether any came; a connection that ended early has failed. */
static bool receive(struct run *run, struct connection *connection, char *into, size_t room, size_t *received) {
    ssize_t got = recv(connection->fd, into, room, MSG_DONTWAIT | (into ? 0 : MSG_TRUNC));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) connection_fail(run, connection, "the connection ended early: errno", got < 0 ? errno : 0);
    *received = (size_t)got;
    return got > 0;
}

static void progress_body(struct run *run, struct connection *connection) {
    static char body[BODY_ROOM];
    /* MSG_TRUNC discards what TCP has received in the kernel (tcp(7)); a unix socket has no such thing. */
    bool discards = !run->expected && !run->options.unix_path;
    size_t got, room = discards || connection->left < BODY_ROOM ? (size_t)connection->left : BODY_ROOM;
    if (receive(run, connection, discards ? NULL : body, room, &got)) take(run, connection, body, got);
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
    if (receive(run, connection, &byte, 1, &got)) connection_fail(run, connection, "more bytes than were asked for", 1);
}
