/* A load under way, and what its connections do. */
#ifndef PAGERELAY_LOADTEST_RUN_H
#define PAGERELAY_LOADTEST_RUN_H

#include "expected.h"
#include "options.h"
#include "outcome.h"
#include "schedule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAD_ROOM = 1024 };

enum phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_BROKEN };

struct connection {
    /* -1: none yet, or closed. */
    int fd;
    enum phase phase;
    uint64_t began;
    /* Where the range begins in the region, and how much of it has not come yet. */
    uint64_t first;
    uint64_t left;
    size_t used;
    char head[HEAD_ROOM];
};

struct run {
    struct options options;
    struct schedule schedule;
    struct outcome outcome;
    struct expected expected;
    struct connection *connections;
    int epoll;
    uint64_t moved;
    uint64_t ended;
    unsigned idle;
    unsigned broken;
    /* Where the search for an idle connection goes on, so that all get their share. */
    unsigned next;
};

/* Whether the region is asked for whole, without a Range. */
bool run_is_whole(const struct run *run);

/* request.c: makes the connection and has epoll watch it. 0 or -errno. */
int connection_open(struct run *run, struct connection *connection);

/* Gives an idle connection its next request, if one is due. */
bool connection_issue(struct run *run, struct connection *connection, uint64_t at);

void connection_drop(struct connection *connection);

/* Counts an error, and gives the connection up. */
void connection_fail(struct run *run, struct connection *connection, const char *why, int64_t detail);

/* answer.c: takes what has come on a connection that waits for an answer, or on one that does not. */
void connection_progress(struct run *run, struct connection *connection);
void connection_progress_idle(struct run *run, struct connection *connection);

#endif
