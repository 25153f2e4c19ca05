/* What lanes have answered, for the log. */
#ifndef PR_ANSWERS_H
#define PR_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "wire/peer.h"

struct pr_relay;

/* An answer of a lane, for the log. */
struct pr_answer {
    uint64_t connection, pattern;
    uint64_t offset, length, sent; /* in the region, of the body */
    enum pr_engine engine;
    enum pr_outcome outcome;
    int error;
    uint64_t took, ago; /* ns: from the request to its end, and since that */
    struct pr_peer peer;
};

/* A place is set aside when a request is begun. */
struct pr_answers {
    struct pr_answer *list;
    size_t capacity, first, used, begun;
    bool told;
};

/* The answers that were not taken yet, at most `capacity`, the oldest first. */
size_t pr_answers(struct pr_relay *relay, struct pr_answer *into, size_t capacity);

#endif
