/* The command line, and the requests: built beforehand by who starts this program (run.h), in a file. */
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

static bool is_request(const struct request *request, size_t room) {
    uint64_t end = request->offset + request->length;
    return end <= room && request->length < REQUEST_ROOM / 2 && request->status > 0 && request->status < STATUSES;
}

void requests_read(struct run *run) {
    const char *path = run->options.requests;
    size_t length;
    run->texts = map(path, &length);
    run->requests = (const struct request *)(const void *)run->texts;
    /* The text of the first begins where the last request ends. */
    run->request_count = length < sizeof *run->requests ? 0 : run->requests[0].offset / sizeof *run->requests;
    if (run->request_count == 0 || run->request_count > length / sizeof *run->requests) refuse(path, "no request");
    for (size_t at = 0; at < run->request_count; at++) {
        if (!is_request(&run->requests[at], length)) refuse(path, "a request that is none");
    }
    if (run->options.verify) run->expected = map(run->options.verify, &run->expected_length);
}
