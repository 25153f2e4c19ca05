/*
 * Who is behind a proxy: peers that are trusted to say for whom they ask, and what one of them has said. It names the
 * client in the log and for limits; what is known of the peer itself (wire/peer.h) stays as it is.
 */
#ifndef PR_PROXIED_H
#define PR_PROXIED_H

#include <stdbool.h>

#include "wire/peer.h"

struct pr_connection;
struct pr_relay;

/* Who the client of a connection is, beyond its peer. A family of 0 is none that was told. */
struct pr_proxied {
    union pr_address client; /* of all that comes by the connection (PROXY protocol) */
    union pr_address asks;   /* of the request that is answered (X-Forwarded-For) */
};

/* Before doors are open: addresses such as 10.0.0.0/8 or fd00::/8 are trusted, or unix: peers. 0, -EINVAL, -ENOMEM. */
int pr_trust(struct pr_relay *relay, const char *network, size_t length);
void pr_trusted_free(struct pr_relay *relay);

bool pr_is_trusted(const struct pr_relay *relay, const union pr_address *address);

/* Under its lock, by its lane: one of these is the client from now on. False: there is no memory. */
bool pr_set_client(struct pr_connection *connection, const union pr_address *client);
bool pr_set_asking(struct pr_connection *connection, const union pr_address *client);

/* By its lane, or under all locks: who was told to ask, or to be connected; NULL where nobody was. */
const union pr_address *pr_told_client(const struct pr_connection *connection, bool asks);

/* Under its lock, or by its lane: its client's address as pr_peer_address has it, with who asks or without. */
unsigned pr_client_address(const struct pr_connection *connection, bool asks, char text[PR_ADDRESS_TEXT]);

#endif
