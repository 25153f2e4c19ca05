#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * Connections that are closed by the thousand wait for a minute then (TIME-WAIT): each of so many addresses of 127/8
 * has ports of its own for that.
 */
enum { SOURCES = 64 };

void connection_drop(struct connection *connection) {
    if (connection->fd >= 0) close(connection->fd);
    connection->fd = -1;
}

void connection_fail(struct run *run, struct connection *connection, const char *why, int64_t detail) {
    struct outcome *outcome = &run->outcome;
    if (outcome->errors++ == 0) {
        snprintf(outcome->first_error, sizeof outcome->first_error, "%s (%" PRId64 ")", why, detail);
    }
    if (connection->phase == PHASE_IDLE) run->idle--;
    connection->phase = PHASE_BROKEN;
    run->broken++;
    connection_drop(connection);
}

static int connect_tcp(int fd, uint16_t port, uint64_t source) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(source % SOURCES));
    /* The port is picked by connect, which may take one that is in use towards another peer. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0) return -1;
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) return -1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return -1;
    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

static int connect_unix(int fd, const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

int connection_open(struct run *run, struct connection *connection) {
    const struct options *options = &run->options;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int fd = socket(options->unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    uint64_t source = options->per_connection > 0 ? run->issued : 0;
    int failed = options->unix_path ? connect_unix(fd, options->unix_path) : connect_tcp(fd, options->port, source);
    if (failed < 0 || epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    connection->fd = fd;
    connection->asked = 0;
    return 0;
}

/* Puts a number of its own into a request: digits that differ from the start on, as those of random ids do. */
static void personalize(char *digits, uint64_t number) {
    static const char hex[] = "0123456789abcdef";
    uint64_t mixed = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int at = 0; at < 16; at++) digits[at] = hex[mixed >> (60 - 4 * at) & 15];
    for (int at = 0; at < 16; at++) digits[16 + at] = hex[number >> (60 - 4 * at) & 15];
}

static bool send_request(struct run *run, struct connection *connection) {
    const struct options *options = &run->options;
    const struct request *request = connection->request;
    static const char end[] = "\r\n", closing[] = "Connection: close\r\n\r\n";
    char bytes[REQUEST_ROOM];
    size_t length = request->length;
    memcpy(bytes, run->texts + request->offset, length);
    if (request->own >= 0) personalize(bytes + request->own, run->issued);
    bool is_last = options->announce && connection->asked == options->per_connection;
    size_t more = is_last ? sizeof closing - 1 : sizeof end - 1;
    memcpy(bytes + length, is_last ? closing : end, more);
    errno = 0;
    return send(connection->fd, bytes, length + more, MSG_NOSIGNAL) == (ssize_t)(length + more);
}

bool run_has_more(const struct run *run, uint64_t at) {
    const struct options *options = &run->options;
    bool timed = options->rate == 0 && options->seconds > 0;
    return run->issued < run->planned && (!timed || at < run->began + (uint64_t)(options->seconds * (double)SECOND));
}

uint64_t run_due(const struct run *run) {
    return run->began + (uint64_t)((double)run->issued / run->options.rate * (double)SECOND);
}

bool connection_issue(struct run *run, struct connection *connection, uint64_t at) {
    if (!run_has_more(run, at)) return false;
    uint64_t intended = run->options.rate > 0 ? run_due(run) : at;
    if (intended > at) return false;
    int error = connection->fd < 0 ? connection_open(run, connection) : 0;
    connection->request = &run->requests[run->issued % run->request_count];
    connection->began = intended;
    connection->used = 0;
    connection->asked++;
    if (error < 0) {
        connection_fail(run, connection, "no connection: errno", -error);
    } else if (!send_request(run, connection)) {
        connection_fail(run, connection, "the request could not be sent: errno", errno);
    } else {
        if (connection->phase == PHASE_IDLE) run->idle--;
        connection->phase = PHASE_HEAD;
    }
    run->issued++;
    return true;
}
