/* Telling which references there are. */
#ifndef PR_REFERENCES_H
#define PR_REFERENCES_H

#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "wire/peer.h"

struct pr_relay;

enum pr_reference_state { PR_REFERENCE_UNSENT, PR_REFERENCE_SENT, PR_REFERENCE_QUARANTINED };

struct pr_reference_info {
    uint64_t id, generation, first, last, bytes;
    enum pr_reference_state state;
    enum pr_engine engine;
    char peer[64]; /* empty before a connection has it */
    enum pr_peer_kind peer_kind;
    double age_seconds;
};

struct pr_page {
    size_t count;
    uint64_t next; /* an id, behind which there is more; 0 at the end */
};

/*
 * The references of one generation (0: of all) whose ids are above `after`, in the order of their ids: of the first
 * `capacity` (1 or more) those that are left after a look at their connections. 0 or -ENOMEM.
 */
int pr_references(struct pr_relay *relay, uint64_t generation, uint64_t after, struct pr_reference_info *into,
                  size_t capacity, struct pr_page *page);

#endif
