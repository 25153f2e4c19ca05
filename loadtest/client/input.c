/*
 * The command line, and the requests: built beforehand by who starts this program, and asked for in their order, over
 * and over. Their file has, for each, a line of numbers (the fields of struct request in their order, but for the
 * bytes) and then its bytes.
 */
#define _GNU_SOURCE
#include "run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn static void refuse(const char *path, const char *why) {
    fprintf(stderr, "discard: %s: %s\n", path, why);
    exit(2);
}

struct options options_read(int argc, char **argv) {
    static const char usage[] = "WHERE CONNECTIONS COUNT SECONDS RATE PER_CONNECTION ANNOUNCE REQUESTS [VERIFY]";
    if (argc != 9 && argc != 10) refuse("usage", usage);
    struct options options = {
        .unix_path = argv[1][0] == '/' ? argv[1] : NULL,
        .port = (uint16_t)strtoul(argv[1], NULL, 10),
        .connections = (unsigned)strtoul(argv[2], NULL, 10),
        .count = strtoull(argv[3], NULL, 10),
        .seconds = strtod(argv[4], NULL),
        .rate = strtod(argv[5], NULL),
        .per_connection = strtoull(argv[6], NULL, 10),
        .announce = strcmp(argv[7], "true") == 0,
        .requests = argv[8],
        .verify = argv[9],
    };
    if (options.connections == 0 || options.count == 0) refuse("usage", usage);
    return options;
}

static char *map(const char *path, size_t *length) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) refuse(path, "can't be read");
    char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) refuse(path, "can't be mapped");
    close(fd);
    *length = (size_t)status.st_size;
    return bytes;
}

/* Not sscanf, which looks for the end of the whole text first. The line ends, so that the scan of each number does. */
static int64_t number(const char **at) {
    char *end;
    long long value = strtoll(*at, &end, 10);
    *at = end;
    return value;
}

/* Reads one request; what follows it, or NULL. */
static const char *read_one(const char *at, const char *end, struct request *request) {
    const char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line) return NULL;
    request->length = (size_t)number(&at);
    request->status = (int)number(&at);
    request->told = number(&at);
    request->body = (uint64_t)number(&at);
    request->first = number(&at);
    request->base = (uint64_t)number(&at);
    request->own = number(&at);
    request->bytes = line + 1;
    bool fits = request->length <= (size_t)(end - request->bytes) && request->length < REQUEST_ROOM / 2;
    return fits && at == line && request->status > 0 && request->status < STATUSES ? line + 1 + request->length : NULL;
}

void requests_read(struct run *run) {
    const char *path = run->options.requests;
    size_t length, room = 0;
    const char *at = map(path, &length), *end = at + length;
    while (at < end) {
        if (run->request_count == room) {
            room = room == 0 ? 1024 : 2 * room;
            run->requests = reallocarray(run->requests, room, sizeof *run->requests);
            if (!run->requests) refuse(path, "too many requests");
        }
        at = read_one(at, end, &run->requests[run->request_count++]);
        if (!at) refuse(path, "a request that is none");
    }
    if (run->request_count == 0) refuse(path, "no request");
    if (run->options.verify) run->expected = map(run->options.verify, &run->expected_length);
}
