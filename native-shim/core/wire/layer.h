/* What this layer keeps of a relay. */
#ifndef PR_WIRE_LAYER_H
#define PR_WIRE_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pretence.h"
#include "base/shared.h"
#include "wire/engine.h"
#include "wire/peer.h"

struct pr_answering;

struct pr_wire_layer {
    unsigned max_broken_off; /* as of pr_options, and the next */
    struct pr_pretence pretence;
    struct pr_prober prober; /* of the relay's own thread */
    struct pr_pipes pipes;
    struct pr_list pollers;
    struct pr_list quarantined, broken_off;
    uint64_t rounds;                      /* of looks for a page of references */
    const struct pr_answering *answering; /* what a layer above has registered */
};

int pr_wire_open(struct pr_relay *relay);
/* Under the lock, when no lane runs any more: ends connections and transmissions. */
void pr_wire_end(struct pr_relay *relay, uint64_t now);
void pr_wire_close(struct pr_relay *relay);

#endif
