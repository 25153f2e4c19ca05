#include "http/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "wire/proxied.h"

/* The PROXY protocol. */

static const unsigned char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    FIXED = 16, /* signature, version and command, family and transport, length of the rest */
    LOCAL = 0x20,
    PROXIED = 0x21,
    UNSPECIFIED = 0x00,
    TCP4 = 0x11,
    TCP6 = 0x21,
    UNIX_STREAM = 0x31,
    TYPE_CRC32C = 0x03,
    TLV_HEAD = 3,
};

static unsigned two_bytes(const unsigned char *at) {
    return (unsigned)at[0] << 8 | at[1];
}

/* The length of the addresses; -1 where a connection can't be of that kind. */
static int length_of_addresses(unsigned char family) {
    switch (family) {
    case TCP4: return 12;
    case TCP6: return 36;
    case UNIX_STREAM: return 216;
    default: return -1;
    }
}

/* CRC-32C (RFC 3720 B.4), four bits at a time, of bytes some of which count as 0. */
static uint32_t crc32c(const unsigned char *bytes, size_t length, size_t zero_from, size_t zero_to) {
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = UINT32_MAX;
    for (size_t at = 0; at < length; at++) {
        crc ^= at >= zero_from && at < zero_to ? 0 : bytes[at];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* Whether what is behind the addresses is whole, and a checksum in it, once, is right. */
static bool is_sound(const unsigned char *bytes, size_t from, size_t length) {
    size_t sum_at = 0;
    while (from < length) {
        if (length - from < TLV_HEAD) return false;
        size_t value = two_bytes(bytes + from + 1), at = from + TLV_HEAD;
        if (value > length - at) return false;
        bool is_sum = bytes[from] == TYPE_CRC32C;
        if (is_sum && (value != 4 || sum_at > 0)) return false;
        if (is_sum) sum_at = at;
        from = at + value;
    }
    if (sum_at == 0) return true;
    uint32_t told = (uint32_t)two_bytes(bytes + sum_at) << 16 | two_bytes(bytes + sum_at + 2);
    return crc32c(bytes, length, sum_at, sum_at + 4) == told;
}

static union pr_address client_in(unsigned char family, const unsigned char *addresses) {
    union pr_address client = {.six = {.sin6_family = AF_UNSPEC}};
    if (family == TCP4) {
        client.four.sin_family = AF_INET;
        memcpy(&client.four.sin_addr, addresses, 4);
        memcpy(&client.four.sin_port, addresses + 8, 2);
    } else if (family == TCP6) {
        client.six.sin6_family = AF_INET6;
        memcpy(&client.six.sin6_addr, addresses, 16);
        memcpy(&client.six.sin6_port, addresses + 32, 2);
    }
    return client; /* a unix socket has none */
}

enum pr_head_kind pr_proxy_read(const char *text, size_t length, struct pr_proxy *proxy) {
    const unsigned char *bytes = (const unsigned char *)text;
    *proxy = (struct pr_proxy){.client.six = {.sin6_family = AF_UNSPEC}};
    if (memcmp(bytes, signature, length < sizeof signature ? length : sizeof signature) != 0) return PR_HEAD_FOREIGN;
    if (length > 12 && bytes[12] != LOCAL && bytes[12] != PROXIED) return PR_HEAD_FOREIGN;
    if (length < FIXED) return PR_HEAD_PART;
    proxy->length = FIXED + (size_t)two_bytes(bytes + 14);
    /* What stands in a header of no client, or of one that is not told, is ignored. */
    bool tells = bytes[12] == PROXIED && bytes[13] != UNSPECIFIED;
    int addresses = tells ? length_of_addresses(bytes[13]) : 0;
    if (proxy->length > PR_LONGEST_PROXY || addresses < 0 || proxy->length < FIXED + (size_t)addresses)
        return PR_HEAD_FOREIGN;
    if (length < proxy->length) return PR_HEAD_PART;
    if (!tells) return PR_HEAD_WHOLE;
    if (!is_sound(bytes, FIXED + (size_t)addresses, proxy->length)) return PR_HEAD_FOREIGN;
    proxy->client = client_in(bytes[13], bytes + FIXED);
    return PR_HEAD_WHOLE;
}

/* X-Forwarded-For. */

static bool is_port(struct pr_text text) {
    if (text.length < 1 || text.length > 5) return false;
    for (size_t at = 0; at < text.length; at++)
        if (text.at[at] < '0' || text.at[at] > '9') return false;
    return true;
}

/* 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80; a family of 0 for anything else. */
static union pr_address read_address(struct pr_text text) {
    union pr_address address = {.six = {.sin6_family = AF_UNSPEC}};
    char host[INET6_ADDRSTRLEN];
    const char *from = text.at, *end = text.at + text.length, *close = NULL, *colon = NULL;
    if (text.length > 0 && *from == '[')
        close = memchr(from, ']', text.length);
    else
        colon = memchr(from, ':', text.length);
    bool is_only = colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1));
    const char *behind = close ? close + 1 : is_only ? colon : end, *to = close ? close : behind;
    if (close) from++;
    struct pr_text port = {.at = behind + 1, .length = behind < end ? (size_t)(end - behind - 1) : 0};
    if (behind < end && (*behind != ':' || !is_port(port))) return address;
    size_t length = (size_t)(to - from);
    if (length >= sizeof host || memchr(from, '\0', length)) return address;
    memcpy(host, from, length);
    host[length] = '\0';
    if (!close && inet_pton(AF_INET, host, &address.four.sin_addr) == 1)
        address.four.sin_family = AF_INET;
    else if (!is_only && inet_pton(AF_INET6, host, &address.six.sin6_addr) == 1)
        address.six.sin6_family = AF_INET6;
    return address;
}

static bool is_blank(char character) {
    return character == ' ' || character == '\t';
}

union pr_address pr_forwarded_client(const struct pr_relay *relay, struct pr_text value) {
    union pr_address client = {.six = {.sin6_family = AF_UNSPEC}};
    size_t end = value.length;
    for (;;) {
        size_t from = end;
        while (from > 0 && value.at[from - 1] != ',') from--;
        size_t first = from, last = end;
        while (first < last && is_blank(value.at[first])) first++;
        while (last > first && is_blank(value.at[last - 1])) last--;
        union pr_address next = read_address((struct pr_text){.at = value.at + first, .length = last - first});
        if (next.any.sa_family == AF_UNSPEC) return client;
        client = next;
        if (from == 0 || !pr_is_trusted(relay, &client)) return client;
        end = from - 1;
    }
}
