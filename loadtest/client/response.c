#define _GNU_SOURCE
#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char version[] = "HTTP/1.1 ";
static const char length_name[] = "Content-Length:";

/* The end of the head is a blank line, so that strtoull stops inside it. */
static void read_field(const char *line, struct response *response) {
    size_t name_length = sizeof length_name - 1;
    if (strncasecmp(line, length_name, name_length) != 0) return;
    response->content_length = strtoull(line + name_length, NULL, 10);
}

enum response_state response_read(const char *bytes, size_t count, struct response *response) {
    const char *blank = memmem(bytes, count, "\r\n\r\n", 4);
    if (!blank) return RESPONSE_INCOMPLETE;
    if (strncmp(bytes, version, sizeof version - 1) != 0) return RESPONSE_MALFORMED;
    response->head_length = (size_t)(blank - bytes) + 4;
    response->status = (int)strtol(bytes + sizeof version - 1, NULL, 10);
    response->content_length = UINT64_MAX;
    const char *line = bytes;
    while ((line = memchr(line, '\n', (size_t)(blank + 2 - line))) != NULL && ++line < blank) {
        read_field(line, response);
    }
    return RESPONSE_WHOLE;
}
