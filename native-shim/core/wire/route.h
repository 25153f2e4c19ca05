/* Where a peer can be that is not in this network namespace. */
#ifndef PR_ROUTE_H
#define PR_ROUTE_H

#include <stdbool.h>

struct pr_peer;
struct pr_prober;

/* Whether packets to it leave by a network card, and not by a device made of software. */
bool pr_is_behind_a_network_card(struct pr_prober *prober, const struct pr_peer *peer);

#endif
