#define _GNU_SOURCE
#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char version[] = "HTTP/1.1 ";
enum { VERSION_LENGTH = sizeof version - 1 };

/* What follows a name, or NULL. */
static const char *after(const char *line, const char *name) {
    size_t length = strlen(name);
    return strncasecmp(line, name, length) == 0 ? line + length : NULL;
}

/* The end of the head is a blank line, so that strtoull stops inside it. */
static void read_field(const char *line, struct response *response) {
    const char *value;
    if ((value = after(line, "Content-Length:")) != NULL) response->content_length = strtoull(value, NULL, 10);
    if ((value = after(line, "Content-Range: bytes ")) != NULL) response->first = strtoull(value, NULL, 10);
}

enum response_state response_read(const char *bytes, size_t count, struct response *response) {
    size_t known = count < VERSION_LENGTH ? count : VERSION_LENGTH;
    if (memcmp(bytes, version, known) != 0) return RESPONSE_MALFORMED;
    const char *blank = memmem(bytes, count, "\r\n\r\n", 4);
    if (!blank) return RESPONSE_INCOMPLETE;
    response->head_length = (size_t)(blank - bytes) + 4;
    response->status = (int)strtol(bytes + VERSION_LENGTH, NULL, 10);
    response->content_length = response->first = UINT64_MAX;
    const char *line = bytes;
    while ((line = memchr(line, '\n', (size_t)(blank + 2 - line))) != NULL && ++line < blank) {
        read_field(line, response);
    }
    return RESPONSE_WHOLE;
}
