/* What proxies say of their clients: the PROXY protocol, version 2, and X-Forwarded-For. */
#ifndef PR_PROXY_H
#define PR_PROXY_H

#include "http/head.h"
#include "wire/peer.h"

struct pr_connection;
struct pr_relay;

/* The longest header, with what is behind the addresses. */
enum { PR_LONGEST_PROXY = PR_LONGEST_HEAD };

struct pr_proxy {
    size_t length;           /* of the header */
    union pr_address client; /* a family of 0: none is told, and the client is who is connected */
};

/*
 * Reads the header of the PROXY protocol (haproxy.org, proxy-protocol.txt, 2.2) that these bytes begin with: whole, a
 * part, or foreign, which is anything else. A checksum in it (CRC32C) is verified.
 */
enum pr_head_kind pr_proxy_read(const char *bytes, size_t length, struct pr_proxy *proxy);

/*
 * Who a trusted proxy asks for: of the addresses in X-Forwarded-For the last one that is not trusted itself; where all
 * are, the first. What is no address ends it. A family of 0: it tells nobody.
 */
union pr_address pr_forwarded_client(const struct pr_relay *relay, struct pr_text value);

#endif
