#include "wire/proxied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "wire/connection.h"
#include "wire/layer.h"

/* Addresses that are alike in their first bits; IPv4 ones are mapped into IPv6. */
struct pr_trusted {
    struct pr_trusted *next;
    bool is_unix;
    unsigned char bytes[16];
    unsigned prefix;
};

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
enum { MAPPED_BITS = 8 * sizeof mapped };

static bool is_all_digits(const char *text) {
    return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 3;
}

/* False for what is no network. The text is cut at its slash. */
static bool read_network(char *text, struct pr_trusted *into) {
    unsigned prefix = 0, before = 0;
    if (strcmp(text, "unix:") == 0) {
        into->is_unix = true;
        return true;
    }
    char *slash = strchr(text, '/');
    if (!slash || !is_all_digits(slash + 1)) return false;
    *slash = '\0';
    for (const char *digit = slash + 1; *digit; digit++) prefix = prefix * 10 + (unsigned)(*digit - '0');
    if (inet_pton(AF_INET6, text, into->bytes) != 1) {
        memcpy(into->bytes, mapped, sizeof mapped);
        if (inet_pton(AF_INET, text, into->bytes + sizeof mapped) != 1) return false;
        before = MAPPED_BITS;
    }
    into->prefix = before + prefix;
    return into->prefix <= 128;
}

int pr_trust(struct pr_relay *relay, const char *network, size_t length) {
    char text[PR_ADDRESS_TEXT];
    struct pr_trusted *made = length < sizeof text ? pr_allocate(1, sizeof *made) : NULL;
    if (!made) return length < sizeof text ? -ENOMEM : -EINVAL;
    memcpy(text, network, length);
    text[length] = '\0';
    if (strlen(text) != length || !read_network(text, made)) {
        pr_free(made);
        return -EINVAL;
    }
    made->next = relay->wire->trusted;
    relay->wire->trusted = made;
    return 0;
}

void pr_trusted_free(struct pr_relay *relay) {
    while (relay->wire->trusted) {
        struct pr_trusted *first = relay->wire->trusted;
        relay->wire->trusted = first->next;
        pr_free(first);
    }
}

static bool is_in(const struct pr_trusted *network, const unsigned char bytes[16]) {
    unsigned whole = network->prefix / 8, rest = network->prefix % 8;
    if (network->is_unix || memcmp(network->bytes, bytes, whole) != 0) return false;
    return rest == 0 || (network->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0;
}

bool pr_is_trusted(const struct pr_relay *relay, const union pr_address *address) {
    unsigned char bytes[16];
    bool is_unix = address->any.sa_family == AF_UNIX;
    memcpy(bytes, mapped, sizeof mapped);
    if (!is_unix) pr_address_bytes(address, address->any.sa_family == AF_INET ? bytes + sizeof mapped : bytes, NULL);
    for (const struct pr_trusted *each = relay->wire->trusted; each; each = each->next)
        if (is_unix ? each->is_unix : is_in(each, bytes)) return true;
    return false;
}

static struct pr_proxied *proxied_of(struct pr_connection *connection) {
    if (!connection->proxied) connection->proxied = pr_allocate(1, sizeof *connection->proxied);
    return connection->proxied;
}

bool pr_set_client(struct pr_connection *connection, const union pr_address *client) {
    struct pr_proxied *proxied = proxied_of(connection);
    if (!proxied) return false;
    proxied->client = *client;
    connection->is_trusted = pr_is_trusted(connection->relay, client);
    return true;
}

bool pr_set_asking(struct pr_connection *connection, const union pr_address *client) {
    if (client->any.sa_family == AF_UNSPEC && !connection->proxied) return true;
    struct pr_proxied *proxied = proxied_of(connection);
    if (!proxied) return false;
    proxied->asks = *client;
    return true;
}

const union pr_address *pr_told_client(const struct pr_connection *connection, bool asks) {
    const struct pr_proxied *proxied = connection->proxied;
    if (proxied && asks && proxied->asks.any.sa_family != AF_UNSPEC) return &proxied->asks;
    return proxied && proxied->client.any.sa_family != AF_UNSPEC ? &proxied->client : NULL;
}

unsigned pr_client_address(const struct pr_connection *connection, bool asks, char text[PR_ADDRESS_TEXT]) {
    const union pr_address *told = pr_told_client(connection, asks);
    if (!told) return pr_peer_address(&connection->peer, text);
    unsigned char bytes[16];
    uint16_t port;
    pr_address_bytes(told, bytes, &port);
    inet_ntop(told->any.sa_family, bytes, text, PR_ADDRESS_TEXT);
    return ntohs(port);
}
