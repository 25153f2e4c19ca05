#define _GNU_SOURCE
#include "run.h"
#include "socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_ROOM = 2048 };

bool run_is_whole(const struct run *run) {
    return run->options.size == run->options.region;
}

void connection_drop(struct connection *connection) {
    if (connection->fd >= 0) close(connection->fd);
    connection->fd = -1;
}

void connection_fail(struct run *run, struct connection *connection, const char *why, int64_t detail) {
    outcome_fail(&run->outcome, why, detail);
    if (connection->phase == PHASE_IDLE) run->idle--;
    connection->phase = PHASE_BROKEN;
    run->broken++;
    connection_drop(connection);
}

int connection_open(struct run *run, struct connection *connection) {
    int fd = socket_connect(run->options.port, run->options.fresh ? run->schedule.issued : 0);
    if (fd < 0) return fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    connection->fd = fd;
    return 0;
}

static bool send_request(const struct run *run, struct connection *connection) {
    char request[REQUEST_ROOM];
    char range[96] = "";
    uint64_t last = connection->first + run->options.size - 1;
    if (!run_is_whole(run)) {
        snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-%" PRIu64 "\r\n", connection->first, last);
    }
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", run->options.path,
                          run->options.port, range);
    errno = 0;
    return send(connection->fd, request, (size_t)length, MSG_NOSIGNAL) == length;
}

static void issue(struct run *run, struct connection *connection, uint64_t intended) {
    connection->first = schedule_offset(&run->schedule);
    connection->began = intended;
    connection->used = 0;
    run->schedule.issued++;
    int error = connection->fd < 0 ? connection_open(run, connection) : 0;
    if (error < 0) {
        connection_fail(run, connection, "no connection: errno", -error);
    } else if (!send_request(run, connection)) {
        connection_fail(run, connection, "the request could not be sent: errno", errno);
    } else {
        if (connection->phase == PHASE_IDLE) run->idle--;
        connection->phase = PHASE_HEAD;
    }
}

bool connection_issue(struct run *run, struct connection *connection, uint64_t at) {
    if (!schedule_has_more(&run->schedule, at)) return false;
    uint64_t intended = schedule_by_rate(&run->schedule) ? schedule_due(&run->schedule) : at;
    if (intended > at) return false;
    issue(run, connection, intended);
    return true;
}
