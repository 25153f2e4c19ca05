/*
 * The requests, built beforehand by who starts this program and asked for in their order, over and over. The file has,
 * for each, a line of numbers (the fields of struct request in their order, but for the bytes) and then its bytes.
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
    exit(1);
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

struct requests requests_read(const char *path) {
    struct requests requests = {0};
    size_t length, room = 0;
    const char *at = map(path, &length);
    const char *end = at + length;
    while (at < end) {
        if (requests.count == room) {
            room = room == 0 ? 1024 : 2 * room;
            requests.all = reallocarray(requests.all, room, sizeof *requests.all);
            if (!requests.all) refuse(path, "too many requests");
        }
        at = read_one(at, end, &requests.all[requests.count++]);
        if (!at) refuse(path, "a request that is none");
    }
    if (requests.count == 0) refuse(path, "no request");
    return requests;
}

void requests_expect(struct run *run, const char *path) {
    size_t length;
    run->expected = map(path, &length);
    run->expected_length = length;
}
