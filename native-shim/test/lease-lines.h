/* Connections by which pages of the scene are sent. */
#ifndef LEASE_LINES_H
#define LEASE_LINES_H

#include "lease-scene.h"

#include <netinet/tcp.h>
#include <unistd.h>

enum { LENGTH = 64 << 10, LARGE = 24 << 20 };
static const double NEVER = 1e6; /* seconds */

struct line {
    struct pair pair;
    uint64_t connection;
};

static inline struct line line_open(struct scene *scene, int receive_buffer) {
    struct line line = {.pair = pair_open(receive_buffer)};
    line.connection = adopt(scene->relay, &line.pair);
    return line;
}

static inline void line_close(struct scene *scene, struct line *line) {
    if (line->pair.ours >= 0) node_close(scene->relay, line->connection, &line->pair);
    pair_close(&line->pair);
    wait_until(counted(scene->relay).connections == 0, 5000);
}

#endif
