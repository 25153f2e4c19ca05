/* A load under way: what was asked for, what its connections do, what came of it. */
#ifndef PAGERELAY_LOADTEST_RUN_H
#define PAGERELAY_LOADTEST_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
/* Without a byte for so long, what is outstanding has failed. */
#define PATIENCE (10 * SECOND)

enum { HEAD_ROOM = 2048, REQUEST_ROOM = 4096, STATUSES = 600 };
/* 64 linear steps in each power of two of nanoseconds: an error below 1.6 %. */
enum { HISTOGRAM_BITS = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS };

struct options {
    /* Where the server listens: a port of 127.0.0.1, or the path of a unix socket; the other is 0 or NULL. */
    uint16_t port;
    const char *unix_path;
    unsigned connections;
    /* The run ends after so many seconds (0: no such end) or requests, whichever comes first. */
    double seconds;
    uint64_t count;
    /* Requests a second, whatever the answers take; 0: the next request follows each answer. */
    double rate;
    /* The client closes a connection after so many requests; 0: never. With `announce`, the last one says so. */
    uint64_t per_connection;
    bool announce;
    /* The requests, built beforehand (input.c), and the file that bodies must be equal to, or NULL: unread. */
    const char *requests;
    const char *verify;
};

/*
 * One request, and what its answer must be. The file of requests has all of these, and then all of their texts; they
 * are asked for in their order, over and over.
 */
struct request {
    /* In the file, where its head is, without the blank line that ends it. */
    uint64_t offset;
    uint64_t length;
    int64_t status;
    /* The Content-Length that it must tell, or -1: any or none; and the bytes of body that really come. */
    int64_t told;
    uint64_t body;
    /* Where its Content-Range must begin, or -1: it may have none, or any. */
    int64_t first;
    /* Where the body begins in the file of `verify`. */
    uint64_t base;
    /* Where 32 hexadecimal digits stand that each request has of its own, or -1. */
    int64_t own;
};

enum phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_BROKEN };

struct connection {
    /* -1: none yet, or closed. */
    int fd;
    enum phase phase;
    const struct request *request;
    /* On this connection. */
    uint64_t asked;
    uint64_t began;
    /* Bytes of the body that have not come yet. */
    uint64_t left;
    size_t used;
    char head[HEAD_ROOM];
};

struct outcome {
    uint64_t answers;
    uint64_t bytes;
    uint64_t statuses[STATUSES];
    uint64_t errors;
    char first_error[128];
    uint64_t longest;
    uint64_t latency[HISTOGRAM_BUCKETS];
};

struct run {
    struct options options;
    const struct request *requests;
    size_t request_count;
    const char *texts;
    struct outcome outcome;
    /* What bodies are compared with, mapped. */
    const char *expected;
    size_t expected_length;
    struct connection *connections;
    int epoll;
    uint64_t began;
    uint64_t ended;
    /* Of this process, before the first request. */
    double cpu_before;
    uint64_t moved;
    uint64_t issued;
    /* Requests in all, when that is known beforehand. */
    uint64_t planned;
    unsigned idle;
    unsigned broken;
    /* Where the search for an idle connection goes on, so that all get their share. */
    unsigned next;
};

static inline uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

/* Both exit with 2 and a word about why when the command line breaks a rule, or a file can't be read. */
struct options options_read(int argc, char **argv);
void requests_read(struct run *run);

/* Makes the connection and has epoll watch it. 0 or -errno. */
int connection_open(struct run *run, struct connection *connection);
void connection_drop(struct connection *connection);
/* Counts an error, and gives the connection up. */
void connection_fail(struct run *run, struct connection *connection, const char *why, int64_t detail);
/* Gives an idle connection its next request, if one is due. */
bool connection_issue(struct run *run, struct connection *connection, uint64_t at);
/* Takes what has come on a connection that waits for an answer, or on one that does not. */
void connection_progress(struct run *run, struct connection *connection);
void connection_progress_idle(struct run *run, struct connection *connection);

/* Whether anything is still to be asked for, and when the next request is due by its rate. */
bool run_has_more(const struct run *run, uint64_t at);
uint64_t run_due(const struct run *run);

void outcome_add(struct outcome *outcome, uint64_t nanoseconds);
/* User and system, of this process. */
double outcome_cpu_seconds(void);
/* Prints one line of JSON. */
void outcome_print(const struct run *run);

#endif
