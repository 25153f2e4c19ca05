/*
 * A request that comes again: byte for byte the same head but for the value of its Range field (RFC 9110 14.2).
 * Nothing here parses HTTP: what is not exactly what was judged before is somebody else's to understand.
 */
#ifndef PR_REPEAT_H
#define PR_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_repeat {
    const char *head; /* as received, with the value of Range cut out */
    size_t length;
    size_t range_at; /* where that value was; `length` when the request has none */
};

enum pr_match {
    PR_MATCH,
    PR_MATCH_SO_FAR, /* it may become one */
    PR_MATCH_NONE,   /* another request, or a range that is not one plain `a-b`, `a-` or `-n` inside of `size` */
};

/* What a head asks for, and how many bytes it has. */
struct pr_asked {
    uint64_t offset, length;
    size_t consumed;
};

/* Compares the first bytes of what was received with a head, for a region of `size` bytes (at least 1). */
enum pr_match pr_repeat_match(const struct pr_repeat *repeat, uint64_t size, const char *bytes, size_t length,
                              struct pr_asked *asked);

#endif
