/*
 * libFuzzer: what proxies say of their clients. Each input is read as a header of the PROXY protocol, and compared, as
 * are beginnings of it, with a slower reading, which takes it field by field; and as a value of X-Forwarded-For, of
 * which nothing is asked but that it is looked at within its bounds, and names a client that stands in it.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/proxy.h"
#include "wire/proxied.h"

enum { LIMIT = 16384 };

/* Half of all addresses. */
bool pr_is_trusted(const struct pr_relay *relay, const union pr_address *address) {
    (void)relay;
    unsigned char last = address->any.sa_family == AF_INET
                             ? (unsigned char)(ntohl(address->four.sin_addr.s_addr) & 0xff)
                             : address->six.sin6_addr.s6_addr[15];
    return last % 2 == 0;
}

static void disagree(const char *what, const uint8_t *bytes, size_t length) {
    fprintf(stderr, "of %zu bytes: %s\n", length, what);
    for (size_t at = 0; at < length && at < 600; at++) fprintf(stderr, "%02x", bytes[at]);
    fprintf(stderr, "\n");
    abort();
}

/* The slower reading. */

struct bits {
    const uint8_t *bytes;
    size_t length;
};

/* One bit after the other, as RFC 3720 B.4 has it. */
static uint32_t checksum(struct bits all, size_t skipped) {
    uint32_t crc = 0xffffffff;
    for (size_t at = 0; at < all.length; at++) {
        uint8_t byte = at >= skipped && at < skipped + 4 ? 0 : all.bytes[at];
        for (int bit = 0; bit < 8; bit++) {
            bool out = ((crc ^ (uint32_t)(byte >> bit)) & 1) != 0;
            crc >>= 1;
            if (out) crc ^= 0x82f63b78;
        }
    }
    return ~crc;
}

static bool tail_is_right(struct bits all, size_t at) {
    unsigned sums = 0;
    bool right = true;
    while (at != all.length) {
        if (at + 3 > all.length) return false;
        size_t length = (size_t)all.bytes[at + 1] * 256 + all.bytes[at + 2];
        if (at + 3 + length > all.length) return false;
        if (all.bytes[at] == 3) {
            if (length != 4) return false;
            uint32_t told = 0;
            for (size_t each = 0; each < 4; each++) told = told * 256 + all.bytes[at + 3 + each];
            if (told != checksum(all, at + 3)) right = false;
            sums++;
        }
        at += 3 + length;
    }
    return sums == 0 || (sums == 1 && right);
}

static enum pr_head_kind read_slowly(const uint8_t *bytes, size_t length, struct pr_proxy *proxy) {
    static const char expected[] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};
    memset(proxy, 0, sizeof *proxy);
    for (size_t at = 0; at < length && at < sizeof expected; at++)
        if (bytes[at] != (uint8_t)expected[at]) return PR_HEAD_FOREIGN;
    if (length >= 13 && bytes[12] >> 4 != 2) return PR_HEAD_FOREIGN;
    if (length >= 13 && (bytes[12] & 15) > 1) return PR_HEAD_FOREIGN;
    if (length < 16) return PR_HEAD_PART;
    size_t rest = (size_t)bytes[14] * 256 + bytes[15];
    bool local = (bytes[12] & 15) == 0, silent = local || bytes[13] == 0;
    size_t needed = 0;
    if (!silent) {
        if (bytes[13] == 0x11)
            needed = 12;
        else if (bytes[13] == 0x21)
            needed = 36;
        else if (bytes[13] == 0x31)
            needed = 216;
        else
            return PR_HEAD_FOREIGN;
    }
    if (rest < needed || rest + 16 > LIMIT) return PR_HEAD_FOREIGN;
    proxy->length = rest + 16;
    if (length < proxy->length) return PR_HEAD_PART;
    if (silent) return PR_HEAD_WHOLE;
    if (!tail_is_right((struct bits){.bytes = bytes, .length = proxy->length}, 16 + needed)) return PR_HEAD_FOREIGN;
    if (needed == 12) {
        proxy->client.four.sin_family = AF_INET;
        memcpy(&proxy->client.four.sin_addr, bytes + 16, 4);
        proxy->client.four.sin_port = htons((uint16_t)(bytes[24] << 8 | bytes[25]));
    } else if (needed == 36) {
        proxy->client.six.sin6_family = AF_INET6;
        memcpy(&proxy->client.six.sin6_addr, bytes + 16, 16);
        proxy->client.six.sin6_port = htons((uint16_t)(bytes[48] << 8 | bytes[49]));
    }
    return PR_HEAD_WHOLE;
}

/* In memory of just its length. */
static char *exactly(const uint8_t *bytes, size_t length) {
    char *exact = malloc(length + 1);
    if (!exact) abort();
    memcpy(exact + 1, bytes, length);
    return exact;
}

static enum pr_head_kind compare(const uint8_t *bytes, size_t length) {
    char *exact = exactly(bytes, length);
    struct pr_proxy proxy, slow;
    enum pr_head_kind kind = pr_proxy_read(exact + 1, length, &proxy);
    if (kind != read_slowly(bytes, length, &slow)) disagree("another kind", bytes, length);
    if (kind == PR_HEAD_WHOLE && proxy.length != slow.length) disagree("another length", bytes, length);
    if (kind == PR_HEAD_WHOLE && memcmp(&proxy.client, &slow.client, sizeof slow.client) != 0)
        disagree("another client", bytes, length);
    free(exact);
    return kind;
}

static void read_forwarded(const uint8_t *bytes, size_t length) {
    char *exact = exactly(bytes, length);
    union pr_address client = pr_forwarded_client(NULL, (struct pr_text){.at = exact + 1, .length = length});
    bool told = client.any.sa_family != AF_UNSPEC;
    if (told && client.any.sa_family != AF_INET && client.any.sa_family != AF_INET6)
        disagree("a client of no family", bytes, length);
    /* With one more behind it that is not trusted, that is who asks. */
    char *more = malloc(length + 16);
    if (!more) abort();
    memcpy(more, bytes, length);
    memcpy(more + length, ",192.0.2.1", 10);
    client = pr_forwarded_client(NULL, (struct pr_text){.at = more, .length = length + 10});
    if (client.any.sa_family != AF_INET || client.four.sin_addr.s_addr != htonl(0xc0000201))
        disagree("the last does not count", bytes, length);
    free(more);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum pr_head_kind before = PR_HEAD_PART;
    for (size_t length = 0; length <= size; length++) {
        enum pr_head_kind kind = compare(data, length);
        if (before != PR_HEAD_PART && kind != before) disagree("more bytes change what it is", data, length);
        before = kind;
    }
    read_forwarded(data, size);
    return 0;
}
