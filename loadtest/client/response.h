/* As much of an HTTP response's head as a load client has to know. */
#ifndef PAGERELAY_LOADTEST_RESPONSE_H
#define PAGERELAY_LOADTEST_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

enum response_state { RESPONSE_INCOMPLETE, RESPONSE_WHOLE, RESPONSE_MALFORMED };

struct response {
    size_t head_length;
    int status;
    /* UINT64_MAX when the head does not tell. */
    uint64_t content_length;
    /* Where the Content-Range begins; UINT64_MAX when the head does not tell. */
    uint64_t first;
};

/* Reads a head from the first `count` bytes of a response. What can't become a head is malformed at once. */
enum response_state response_read(const char *bytes, size_t count, struct response *response);

#endif
