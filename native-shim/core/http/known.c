#include "http/known.h"

#include <errno.h>
#include <string.h>

#include "base/siphash.h"
#include "base/sys.h"
#include "http/layer.h"

/* Of each set. */
enum { MOST_KNOWN = 1024 };

struct pr_known {
    struct pr_list list;
    uint64_t hash;
    size_t length;
    char bytes[];
};

static void forget_all(struct pr_known_set *set) {
    for (size_t at = 0; at < PR_KNOWN_BUCKETS; at++) pr_list_each(node, &set->buckets[at]) {
            pr_list_remove(node);
            pr_free(pr_container(node, struct pr_known, list));
        }
    set->count = 0;
}

void pr_known_open(struct pr_relay *relay) {
    for (int each = 0; each < PR_KNOWN_SETS; each++)
        for (size_t at = 0; at < PR_KNOWN_BUCKETS; at++) pr_list_init(&relay->http->known[each].buckets[at]);
}

void pr_known_close(struct pr_relay *relay) {
    for (int each = 0; each < PR_KNOWN_SETS; each++) forget_all(&relay->http->known[each]);
}

void pr_forget_allowed(struct pr_relay *relay) {
    pr_lock(relay);
    pr_known_close(relay);
    pr_unlock(relay);
}

static uint64_t hash_of_text(const struct pr_relay *relay, struct pr_text text) {
    return pr_siphash(relay->http->published.key, text.at, text.length);
}

/* Whether they are alike; how long it takes says nothing about where they differ. */
static bool is_same(const struct pr_known *known, struct pr_text text) {
    unsigned char differs = known->length != text.length;
    size_t length = known->length < text.length ? known->length : text.length;
    for (size_t at = 0; at < length; at++) differs |= (unsigned char)(known->bytes[at] ^ text.at[at]);
    return differs == 0;
}

static bool is_among(const struct pr_known_set *set, uint64_t hash, struct pr_text text) {
    pr_list_each(node, &set->buckets[hash % PR_KNOWN_BUCKETS]) {
        const struct pr_known *known = pr_container(node, struct pr_known, list);
        if (known->hash == hash && is_same(known, text)) return true;
    }
    return false;
}

static int remember(struct pr_relay *relay, struct pr_known_set *set, struct pr_text text) {
    struct pr_known *known = pr_allocate(1, sizeof *known + text.length);
    if (!known) return -ENOMEM;
    known->hash = hash_of_text(relay, text);
    known->length = text.length;
    memcpy(known->bytes, text.at, text.length);
    pr_lock(relay);
    bool there = is_among(set, known->hash, text), full = !there && set->count == MOST_KNOWN;
    if (!there && !full) {
        pr_list_append(&set->buckets[known->hash % PR_KNOWN_BUCKETS], &known->list);
        set->count++;
    }
    pr_unlock(relay);
    if (there || full) pr_free(known);
    return full ? -ENOSPC : 0;
}

static struct pr_known_set *hosts(struct pr_relay *relay, bool any_host) {
    return &relay->http->known[any_host ? PR_KNOWN_HOSTS_OF_ALL : PR_KNOWN_HOSTS];
}

int pr_allow_host(struct pr_relay *relay, bool any_host, struct pr_text host) {
    return remember(relay, hosts(relay, any_host), host);
}

int pr_allow_reader(struct pr_relay *relay, struct pr_text authorization) {
    return remember(relay, &relay->http->known[PR_KNOWN_READERS], authorization);
}

bool pr_host_is_known(struct pr_relay *relay, bool any_host, struct pr_text host) {
    return is_among(hosts(relay, any_host), hash_of_text(relay, host), host);
}

bool pr_may_read(struct pr_relay *relay, struct pr_text authorization) {
    if (!relay->http->responding.guarded) return true;
    if (!authorization.at) return false;
    return is_among(&relay->http->known[PR_KNOWN_READERS], hash_of_text(relay, authorization), authorization);
}
