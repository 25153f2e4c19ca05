#include "http/pattern.h"

#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "http/layer.h"

/* So many requests can be repeated by all at a time: each connection that asks for something else looks at all of them.
 */
enum { MOST_OPEN = 16 };

struct pr_pattern *pr_pattern_new(const struct pr_connection *connection, const struct pr_grant *grant, uint64_t size) {
    struct pr_pattern *pattern = pr_allocate(1, sizeof *pattern + grant->request.length + grant->head_length);
    if (!pattern) return NULL;
    char *request = (char *)&pattern[1], *head = request + grant->request.length;
    memcpy(request, grant->request.head, grant->request.length);
    memcpy(head, grant->head, grant->head_length);
    pattern->relay = connection->relay;
    pattern->grant = *grant;
    pattern->grant.request.head = request;
    pattern->grant.head = head;
    pattern->size = size;
    pattern->until = pr_now() + (uint64_t)(grant->seconds * 1e9);
    pattern->uses = 1;
    pattern->peer_kind = connection->peer.kind;
    pattern->here = connection->peer.here;
    pr_list_init(&pattern->open);
    return pattern;
}

void pr_pattern_enter(struct pr_pattern *pattern) {
    pattern->id = ++pattern->relay->http->last_pattern;
    pattern->relay->counters.patterns++;
    pr_events_promise(pattern->relay, 1);
}

void pr_pattern_give(struct pr_pattern *pattern) {
    struct pr_relay *relay = pattern->relay;
    if (--pattern->uses > 0) return;
    if (pattern->id > 0) {
        relay->counters.patterns--;
        pr_events_promise(relay, -1);
        pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_FORGOTTEN, .id = pattern->id});
    }
    pr_free(pattern);
}

void pr_pattern_withdraw(struct pr_pattern *pattern) {
    if (pr_list_empty(&pattern->open)) return;
    pr_list_remove(&pattern->open);
    pattern->relay->http->open_patterns--;
    pr_pattern_give(pattern);
}

void pr_patterns_withdraw(struct pr_relay *relay) {
    pr_list_each(node, &relay->http->patterns) pr_pattern_withdraw(pr_container(node, struct pr_pattern, open));
}

static bool is_of_same_request(const struct pr_pattern *a, const struct pr_pattern *b) {
    const struct pr_repeat *one = &a->grant.request, *other = &b->grant.request;
    return one->length == other->length && one->range_at == other->range_at &&
           memcmp(one->head, other->head, one->length) == 0 && a->peer_kind == b->peer_kind &&
           memcmp(&a->here, &b->here, sizeof a->here) == 0;
}

void pr_pattern_open(struct pr_pattern *pattern) {
    struct pr_relay *relay = pattern->relay;
    uint64_t now = pr_now();
    pr_list_each(node, &relay->http->patterns) {
        struct pr_pattern *older = pr_container(node, struct pr_pattern, open);
        if (older->until <= now || is_of_same_request(older, pattern)) pr_pattern_withdraw(older);
    }
    if (relay->http->open_patterns == MOST_OPEN)
        pr_pattern_withdraw(pr_container(relay->http->patterns.next, struct pr_pattern, open));
    pattern->uses++;
    relay->http->open_patterns++;
    pr_list_append(&relay->http->patterns, &pattern->open);
}

/* A verdict can depend on the address that was asked, and the engine on who asks. */
static bool fits(const struct pr_pattern *pattern, const struct pr_connection *connection, uint64_t now) {
    return pattern->until > now && pattern->peer_kind == connection->peer.kind &&
           memcmp(&pattern->here, &connection->peer.here, sizeof pattern->here) == 0;
}

enum pr_match pr_pattern_find(const struct pr_connection *connection, const char *bytes, size_t length,
                              struct pr_pattern **found, struct pr_asked *asked) {
    enum pr_match best = PR_MATCH_NONE;
    uint64_t now = pr_now();
    pr_list_each(node, &connection->relay->http->patterns) {
        struct pr_pattern *pattern = pr_container(node, struct pr_pattern, open);
        if (!fits(pattern, connection, now)) continue;
        enum pr_match match = pr_repeat_match(&pattern->grant.request, pattern->size, bytes, length, asked);
        if (match == PR_MATCH_SO_FAR) best = match;
        if (match != PR_MATCH) continue;
        pattern->uses++;
        *found = pattern;
        return PR_MATCH;
    }
    return best;
}

unsigned pr_patterns_open(struct pr_relay *relay) {
    uint64_t now = pr_now();
    pr_list_each(node, &relay->http->patterns) {
        struct pr_pattern *pattern = pr_container(node, struct pr_pattern, open);
        if (pattern->until <= now) pr_pattern_withdraw(pattern);
    }
    return relay->http->open_patterns;
}
