#define _GNU_SOURCE
#include "expected.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct expected expected_open(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &status) == 0) {
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    }
    if (bytes == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    close(fd);
    return (struct expected){.bytes = bytes, .length = (uint64_t)status.st_size};
}

bool expected_holds(const struct expected *expected, uint64_t offset, const char *bytes, size_t count) {
    if (offset > expected->length || count > expected->length - offset) return false;
    return memcmp(expected->bytes + offset, bytes, count) == 0;
}
