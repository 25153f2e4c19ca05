/* What the load client was asked for. */
#ifndef PAGERELAY_LOADTEST_OPTIONS_H
#define PAGERELAY_LOADTEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    uint16_t port;
    const char *path;
    unsigned connections;
    /* Bytes of each range, and of the region that it lies in. Equal: the region is asked for whole, without a Range. */
    uint64_t size;
    uint64_t region;
    /* Ranges begin at multiples of this many bytes. */
    uint64_t align;
    /* The run ends after so many seconds or requests, whichever comes first; 0: no such end. */
    double seconds;
    uint64_t count;
    /* Requests a second, whatever the answers take; 0: the next request follows each answer. */
    double rate;
    uint64_t seed;
    /* A new connection for each request, from many addresses. */
    bool fresh;
    /* The file that bodies must be equal to; NULL: they are discarded unread. */
    const char *verify;
};

/* Exits with 2 and a word about why when the command line breaks a rule. */
struct options options_read(int argc, char **argv);

#endif
