/* What the bodies must hold. */
#ifndef PAGERELAY_LOADTEST_EXPECTED_H
#define PAGERELAY_LOADTEST_EXPECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expected {
    const char *bytes;
    uint64_t length;
};

/* Maps a file for good. Exits with 1 when it can't. */
struct expected expected_open(const char *path);

/* Whether the file holds these bytes there. */
bool expected_holds(const struct expected *expected, uint64_t offset, const char *bytes, size_t count);

#endif
