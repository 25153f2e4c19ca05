/*
 * A load client that costs as little as one can: kept-alive connections to 127.0.0.1 in one thread, one request
 * outstanding on each, bodies discarded in the kernel (MSG_TRUNC, tcp(7)). Every response must be a 206 of the length
 * that was asked for. Prints one line of JSON; times are in microseconds, but for the seconds.
 *
 * With --rate, a request's latency counts from the moment when it was due, not from when a connection was free for it:
 * otherwise a server that stalls would be asked less while it does, and look better than it is.
 */
#define _GNU_SOURCE
#include "histogram.h"
#include "options.h"
#include "response.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_ROOM = 1024, REQUEST_ROOM = 2048, EVENTS = 256 };

static const uint64_t second = 1000 * 1000 * 1000;
/* Without a byte for so long, what is outstanding has failed. */
static const uint64_t patience = 10 * second;

enum phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_BROKEN };

struct connection {
    int fd;
    enum phase phase;
    uint64_t began;
    uint64_t left;
    size_t used;
    char head[HEAD_ROOM];
};

struct run {
    struct options options;
    struct connection *connections;
    int epoll;
    uint64_t random;
    uint64_t began;
    uint64_t moved;
    uint64_t ended;
    /* Requests in all, when that is known beforehand. */
    uint64_t planned;
    uint64_t issued;
    uint64_t errors;
    uint64_t bytes;
    unsigned idle;
    unsigned broken;
    char first_error[128];
    struct histogram latency;
};

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * second + (uint64_t)time.tv_nsec;
}

_Noreturn static void give_up(const char *what) {
    perror(what);
    exit(1);
}

/* xorshift64*: ranges cost no system call, and a seed repeats them. */
static uint64_t next_random(struct run *run) {
    run->random ^= run->random >> 12;
    run->random ^= run->random << 25;
    run->random ^= run->random >> 27;
    return run->random * UINT64_C(2685821657736338717);
}

static uint64_t next_offset(struct run *run) {
    const struct options *options = &run->options;
    uint64_t places = (options->region - options->size) / options->align + 1;
    return next_random(run) % places * options->align;
}

static bool by_rate(const struct run *run) {
    return run->options.rate > 0;
}

static uint64_t due_at(const struct run *run) {
    return run->began + (uint64_t)((double)run->issued / run->options.rate * (double)second);
}

static uint64_t end_of_issuing(const struct run *run) {
    if (by_rate(run) || run->options.seconds == 0) return UINT64_MAX;
    return run->began + (uint64_t)(run->options.seconds * (double)second);
}

/* A schedule that can't be kept is run to its end, but not for more than twice its time. */
static uint64_t hard_end(const struct run *run) {
    if (run->options.seconds == 0) return UINT64_MAX;
    return run->began + (uint64_t)(2 * run->options.seconds * (double)second) + patience;
}

static bool more_to_issue(const struct run *run, uint64_t at) {
    return run->issued < run->planned && at < end_of_issuing(run);
}

static void fail(struct run *run, struct connection *connection, const char *why, int detail) {
    if (run->errors++ == 0) snprintf(run->first_error, sizeof run->first_error, "%s (%d)", why, detail);
    if (connection->phase == PHASE_IDLE) run->idle--;
    connection->phase = PHASE_BROKEN;
    run->broken++;
    close(connection->fd);
}

static void issue(struct run *run, struct connection *connection, uint64_t intended) {
    char request[REQUEST_ROOM];
    uint64_t first = next_offset(run);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nRange: bytes=%" PRIu64 "-%" PRIu64 "\r\n\r\n",
                          run->options.path, run->options.port, first, first + run->options.size - 1);
    run->issued++;
    ssize_t sent = send(connection->fd, request, (size_t)length, MSG_NOSIGNAL);
    if (sent != length) {
        fail(run, connection, "the request could not be sent: errno", sent < 0 ? errno : 0);
        return;
    }
    if (connection->phase == PHASE_IDLE) run->idle--;
    connection->phase = PHASE_HEAD;
    connection->began = intended;
    connection->used = 0;
}

/* Gives an idle connection its next request, if one is due. */
static bool issue_next(struct run *run, struct connection *connection, uint64_t at) {
    if (!more_to_issue(run, at)) return false;
    uint64_t intended = by_rate(run) ? due_at(run) : at;
    if (intended > at) return false;
    issue(run, connection, intended);
    return true;
}

static void complete(struct run *run, struct connection *connection) {
    uint64_t at = now();
    histogram_add(&run->latency, at - connection->began);
    run->bytes += run->options.size;
    run->ended = at;
    connection->phase = PHASE_IDLE;
    run->idle++;
    issue_next(run, connection, at);
}

/* Whether the body may be read. */
static bool judge_head(struct run *run, struct connection *connection) {
    struct response response;
    switch (response_read(connection->head, connection->used, &response)) {
    case RESPONSE_INCOMPLETE:
        if (connection->used == HEAD_ROOM) fail(run, connection, "a head of too many bytes", HEAD_ROOM);
        return false;
    case RESPONSE_MALFORMED: fail(run, connection, "no HTTP/1.1 response", 0); return false;
    case RESPONSE_WHOLE: break;
    }
    size_t extra = connection->used - response.head_length;
    if (response.status != 206) {
        fail(run, connection, "status", response.status);
    } else if (response.content_length != run->options.size) {
        fail(run, connection, "wrong Content-Length", (int)response.content_length);
    } else if (extra > run->options.size) {
        fail(run, connection, "more bytes than Content-Length tells", (int)extra);
    } else {
        connection->left = run->options.size - extra;
        connection->phase = PHASE_BODY;
        return true;
    }
    return false;
}

/* Up to `room` bytes into `into`, or nowhere. Whether any came; a connection that ended early has failed. */
static bool receive(struct run *run, struct connection *connection, char *into, size_t room, size_t *received) {
    ssize_t got = recv(connection->fd, into, room, MSG_DONTWAIT | (into ? 0 : MSG_TRUNC));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        fail(run, connection, "the connection ended early: errno", got < 0 ? errno : 0);
        return false;
    }
    *received = (size_t)got;
    return true;
}

/* A short count has emptied the socket: epoll tells of more, and a recv that finds nothing is saved. */
static void progress(struct run *run, struct connection *connection) {
    size_t got;
    if (connection->phase == PHASE_HEAD) {
        size_t room = HEAD_ROOM - connection->used;
        if (!receive(run, connection, connection->head + connection->used, room, &got)) return;
        connection->used += got;
        if (!judge_head(run, connection) || (got < room && connection->left > 0)) return;
    }
    if (connection->phase == PHASE_BODY && connection->left > 0) {
        if (!receive(run, connection, NULL, connection->left, &got)) return;
        connection->left -= got;
    }
    if (connection->phase == PHASE_BODY && connection->left == 0) complete(run, connection);
}

/* Bytes that nobody asked for, or the end of a connection that was to be kept. */
static void progress_idle(struct run *run, struct connection *connection) {
    char byte;
    size_t got;
    if (receive(run, connection, &byte, 1, &got)) fail(run, connection, "more bytes than Content-Length tells", 1);
}

static int connect_one(const struct run *run) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(run->options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) give_up("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) give_up("TCP_NODELAY");
    return fd;
}

static void connect_all(struct run *run) {
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->connections = calloc(run->options.connections, sizeof *run->connections);
    if (run->epoll < 0 || !run->connections) give_up("starting");
    for (unsigned at = 0; at < run->options.connections; at++) {
        struct connection *connection = &run->connections[at];
        connection->fd = connect_one(run);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) give_up("epoll_ctl");
    }
    run->idle = run->options.connections;
}

static void issue_to_idle(struct run *run) {
    uint64_t at = now();
    for (unsigned index = 0; index < run->options.connections && run->idle > 0; index++) {
        struct connection *connection = &run->connections[index];
        if (connection->phase == PHASE_IDLE && !issue_next(run, connection, at)) return;
    }
}

static uint64_t wait_time(const struct run *run, uint64_t at) {
    if (!by_rate(run) || run->idle == 0 || !more_to_issue(run, at)) return second / 10;
    uint64_t due = due_at(run);
    return due > at ? due - at : 0;
}

static void wait_and_progress(struct run *run) {
    struct epoll_event events[EVENTS];
    uint64_t wait = wait_time(run, now());
    struct timespec timeout = {.tv_sec = (time_t)(wait / second), .tv_nsec = (long)(wait % second)};
    int count = epoll_pwait2(run->epoll, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR) give_up("epoll_pwait2");
    if (count > 0) run->moved = now();
    for (int at = 0; at < count; at++) {
        struct connection *connection = events[at].data.ptr;
        if (connection->phase == PHASE_IDLE) {
            progress_idle(run, connection);
        } else if (connection->phase != PHASE_BROKEN) {
            progress(run, connection);
        }
    }
}

static bool finished(const struct run *run) {
    uint64_t at = now();
    unsigned busy = run->options.connections - run->idle - run->broken;
    if (busy == 0 && (run->broken == run->options.connections || !more_to_issue(run, at))) return true;
    return (busy > 0 && at - run->moved > patience) || at > hard_end(run);
}

static void fail_unfinished(struct run *run) {
    for (unsigned at = 0; at < run->options.connections; at++) {
        struct connection *connection = &run->connections[at];
        if (connection->phase == PHASE_HEAD) fail(run, connection, "no answer in time", 0);
        if (connection->phase == PHASE_BODY) fail(run, connection, "a body that did not end in time", 0);
    }
}

static uint64_t planned_requests(const struct options *options) {
    uint64_t planned = options->count > 0 ? options->count : UINT64_MAX;
    if (options->rate == 0 || options->seconds == 0) return planned;
    uint64_t scheduled = (uint64_t)(options->rate * options->seconds);
    return scheduled < planned ? scheduled : planned;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print(const struct run *run) {
    const struct histogram *latency = &run->latency;
    uint64_t missed = by_rate(run) ? run->planned - run->issued : 0;
    printf("{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f,",
           latency->total, run->bytes, (double)(run->ended - run->began) / 1e9,
           (double)histogram_quantile(latency, 0.5) / 1e3, (double)histogram_quantile(latency, 0.99) / 1e3,
           (double)latency->longest / 1e3);
    printf("\"clientCpuSeconds\":%.6f,\"missed\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"firstError\":", cpu_seconds(),
           missed, run->errors);
    printf(run->errors > 0 ? "\"%s\"}\n" : "null}\n", run->first_error);
}

int main(int argc, char **argv) {
    static struct run run;
    run.options = options_read(argc, argv);
    run.planned = planned_requests(&run.options);
    run.random = run.options.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    prctl(PR_SET_TIMERSLACK, 1); /* else a request may come 50 microseconds after it was due */
    connect_all(&run);
    run.began = run.moved = run.ended = now();
    while (!finished(&run)) {
        issue_to_idle(&run);
        wait_and_progress(&run);
    }
    fail_unfinished(&run);
    print(&run);
    return 0;
}
