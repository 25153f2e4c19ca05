/*
 * Patterns: what lanes answer by. Each is a request that was judged and the head of its response. It belongs to the
 * connection that it was granted to, or, when it is open, to all connections that are like that one.
 */
#ifndef PR_PATTERN_H
#define PR_PATTERN_H

#include "http/express.h"
#include "http/repeat.h"
#include "lanes/lane.h"

struct pr_pattern {
    uint64_t id;
    struct pr_relay *relay;
    struct pr_grant grant; /* its strings follow the struct */
    uint64_t size;         /* of the region */
    uint64_t until;        /* ns */
    unsigned uses;         /* connections that have it, and the relay's list */
    struct pr_list open;   /* of the relay: the latest last */
    enum pr_peer_kind peer_kind;
    union pr_address here;
};

/* For a connection whose peer is known; one use is the caller's. NULL: no memory. Without the lock. */
struct pr_pattern *pr_pattern_new(const struct pr_connection *connection, const struct pr_grant *grant, uint64_t size);

/* The rest is under the lock. It has a number from here on, and an event tells when nobody uses it any more. */
void pr_pattern_enter(struct pr_pattern *pattern);

/* Ends one use. */
void pr_pattern_give(struct pr_pattern *pattern);

/* All connections like its first one may be answered by it; by an older one of the same request no more. */
void pr_pattern_open(struct pr_pattern *pattern);

/* Nobody more may, who has it not yet. */
void pr_pattern_withdraw(struct pr_pattern *pattern);
void pr_patterns_withdraw(struct pr_relay *relay);

/*
 * The open pattern of a request that begins with these bytes, on this connection: PR_MATCH, with one use of it for the
 * caller, or why there is none.
 */
enum pr_match pr_pattern_find(const struct pr_connection *connection, const char *bytes, size_t length,
                              struct pr_pattern **pattern, struct pr_asked *asked);

/* How many are open, and not over. */
unsigned pr_patterns_open(struct pr_relay *relay);

#endif
