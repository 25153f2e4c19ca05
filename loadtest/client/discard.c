/*
 * A load client that costs as little as one can: connections to this machine in one thread, one request outstanding on
 * each, requests that were built beforehand, bodies discarded in the kernel. Every response must have the status, the
 * length and the place that were asked for, and be followed by nothing but the next one; with a file to verify, bodies
 * are read and compared as well.
 *
 * Prints "connected", waits for a line, sends its requests, prints one line of JSON, and keeps its connections, idle,
 * until its input ends. Exits with 3 when the server has ended one of them.
 *
 * With a rate, a request's latency counts from the moment when it was due, not from when a connection was free for it:
 * otherwise a server that stalls would be asked less while it does, and look better than it is. Where connections
 * are closed, it counts from before they are made.
 */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

/* So many connections at once fit into any server's queue of those that it has not accepted yet. */
enum { CONNECT_AT_ONCE = 128, CONNECT_PAUSE_MICROSECONDS = 10000 };

_Noreturn static void give_up(const char *what) {
    perror(what);
    exit(1);
}

static void connect_all(struct run *run) {
    const struct options *options = &run->options;
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->connections = calloc(options->connections, sizeof *run->connections);
    if (run->epoll < 0 || !run->connections) give_up("starting");
    for (unsigned at = 0; at < options->connections; at++) {
        run->connections[at].fd = -1;
        if (options->per_connection > 0) continue;
        errno = -connection_open(run, &run->connections[at]);
        if (errno != 0) give_up("connect");
        if ((at + 1) % CONNECT_AT_ONCE == 0) usleep(CONNECT_PAUSE_MICROSECONDS);
    }
    run->idle = options->connections;
}

static void plan(struct run *run) {
    const struct options *options = &run->options;
    run->cpu_before = outcome_cpu_seconds();
    run->began = run->moved = run->ended = now();
    run->planned = options->count;
    if (options->rate == 0 || options->seconds == 0) return;
    uint64_t scheduled = (uint64_t)(options->rate * options->seconds);
    if (scheduled < run->planned) run->planned = scheduled;
}

static void issue_to_idle(struct run *run) {
    uint64_t at = now();
    for (unsigned count = 0; count < run->options.connections && run->idle > 0; count++) {
        struct connection *connection = &run->connections[run->next];
        if (connection->phase == PHASE_IDLE && !connection_issue(run, connection, at)) return;
        if (++run->next == run->options.connections) run->next = 0;
    }
}

static uint64_t wait_time(const struct run *run, uint64_t at) {
    if (run->options.rate == 0 || run->idle == 0 || !run_has_more(run, at)) return SECOND / 10;
    uint64_t due = run_due(run);
    return due > at ? due - at : 0;
}

static void wait_and_progress(struct run *run) {
    struct epoll_event events[EVENTS];
    uint64_t wait = wait_time(run, now());
    struct timespec timeout = {.tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND)};
    int count = epoll_pwait2(run->epoll, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR) give_up("epoll_pwait2");
    if (count > 0) run->moved = now();
    for (int at = 0; at < count; at++) {
        struct connection *connection = events[at].data.ptr;
        if (connection->phase == PHASE_IDLE) {
            connection_progress_idle(run, connection);
        } else if (connection->phase != PHASE_BROKEN) {
            connection_progress(run, connection);
        }
    }
}

/* What is under way is waited for, and a schedule that can't be kept is run to its end, but not for ever. */
static uint64_t hard_end(const struct run *run) {
    double seconds = run->options.seconds;
    return seconds == 0 ? UINT64_MAX : run->began + (uint64_t)(2 * seconds * (double)SECOND) + 6 * PATIENCE;
}

static bool finished(const struct run *run) {
    uint64_t at = now();
    unsigned busy = run->options.connections - run->idle - run->broken;
    if (busy == 0 && (run->broken == run->options.connections || !run_has_more(run, at))) return true;
    return (busy > 0 && at - run->moved > PATIENCE) || at > hard_end(run);
}

static void fail_unfinished(struct run *run) {
    for (unsigned at = 0; at < run->options.connections; at++) {
        struct connection *connection = &run->connections[at];
        if (connection->phase == PHASE_HEAD) connection_fail(run, connection, "no answer in time", 0);
        if (connection->phase == PHASE_BODY) connection_fail(run, connection, "a body that did not end in time", 0);
    }
}

/* After the last answer no other bytes may come; a connection that is to be kept may not be closed either. */
static void fail_unquiet(struct run *run) {
    char byte;
    for (unsigned at = 0; at < run->options.connections; at++) {
        struct connection *connection = &run->connections[at];
        if (connection->phase != PHASE_IDLE || connection->fd < 0) continue;
        if (recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) continue;
        connection_fail(run, connection, "an idle connection ended, or something came on it", 0);
    }
}

static void read_until(char last) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0 && byte != last) continue;
}

int main(int argc, char **argv) {
    static struct run run;
    run.options = options_read(argc, argv);
    requests_read(&run);
    prctl(PR_SET_TIMERSLACK, 1); /* else a request may come 50 microseconds after it was due */
    connect_all(&run);
    puts("connected");
    fflush(stdout);
    read_until('\n');
    plan(&run);
    while (!finished(&run)) {
        issue_to_idle(&run);
        wait_and_progress(&run);
    }
    fail_unfinished(&run);
    fail_unquiet(&run);
    outcome_print(&run);
    unsigned broken = run.broken;
    read_until('\0');
    fail_unquiet(&run);
    return run.broken > broken ? 3 : 0;
}
