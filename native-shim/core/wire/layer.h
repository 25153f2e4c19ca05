/* What this layer keeps of a relay. */
#ifndef PR_WIRE_LAYER_H
#define PR_WIRE_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pretence.h"
#include "base/shared.h"
#include "wire/client.h"
#include "wire/engine.h"
#include "wire/peer.h"

struct pr_answering;
struct pr_trusted;

/* What it keeps of each part. */
struct pr_wire_part {
    struct pr_pipes pipes;
    struct pr_list quarantined; /* transmissions */
    uint64_t begun;             /* transmissions of its lane's own: they are numbered */
    char apart[PR_CACHE_LINE];
};

struct pr_wire_layer {
    struct pr_wire_part *parts; /* as those of the relay */
    struct pr_slots held;       /* transmissions of Node's part, which no connection carries yet */
    unsigned max_broken_off;    /* as of pr_options, and the next */
    struct pr_pretence pretence;
    struct pr_prober prober; /* of the relay's own thread */
    struct pr_list pollers;
    struct pr_clients clients;
    struct pr_list broken_off;
    struct pr_trusted *trusted;           /* proxies; does not change while doors are open */
    const struct pr_answering *answering; /* what a layer above has registered */
};

static inline struct pr_wire_part *pr_wire_part(const struct pr_part *part) {
    return &part->relay->wire->parts[part->index];
}

int pr_wire_open(struct pr_relay *relay);
/* Under all locks, when no lane runs any more: ends connections and transmissions. */
void pr_wire_end(struct pr_relay *relay, uint64_t now);
void pr_wire_close(struct pr_relay *relay);

#endif
