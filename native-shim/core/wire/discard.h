/* A reader that costs as little as one can: it has a server on this machine send, and throws bodies away unseen. */
#ifndef PR_DISCARD_H
#define PR_DISCARD_H

#include <stddef.h>
#include <stdint.h>

/* What to ask for: `request` goes out as it is, and an answer is all up to an empty line, and `body` bytes behind it.
 */
struct pr_reading {
    uint16_t port; /* of 127.0.0.1 */
    const char *request;
    size_t request_length;
    uint64_t body;
    unsigned most;  /* answers, one after the other on one connection, */
    double seconds; /* unless so much time has passed; at least one */
};

struct pr_discarded {
    unsigned answers;
    uint64_t bytes; /* of bodies */
    double seconds; /* from the first request to the last byte */
    char head[512]; /* of the first answer, as much as there is room for */
};

/*
 * Blocks. 0; -errno: -ETIMEDOUT when nothing came for seconds, -ECONNRESET when an answer ended early, -EBADMSG when a
 * head is too long.
 */
int pr_discard(const struct pr_reading *reading, struct pr_discarded *discarded);

#endif
