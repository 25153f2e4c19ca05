#include "http/express.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "http/layer.h"
#include "http/pattern.h"
#include "http/window.h"
#include "lanes/layer.h"
#include "wire/done.h"
#include "wire/hold.h"

/* What stands in a head besides the granted one: two fields with numbers of at most 20 digits. */
enum { FIELDS = 128 };

enum { MOST_HEAD = 32 << 10 };

int pr_express_open(struct pr_lane *lane) {
    lane->http = pr_allocate(1, sizeof *lane->http);
    if (!lane->http) return -ENOMEM;
    pr_list_init(&lane->http->granted);
    lane->http->window.bytes = pr_allocate(1, PR_WINDOW);
    lane->http->head = pr_allocate(1, MOST_HEAD + FIELDS);
    return lane->http->window.bytes && lane->http->head ? 0 : -ENOMEM;
}

void pr_express_close(struct pr_lane *lane) {
    if (!lane->http) return;
    pr_free(lane->http->window.bytes);
    pr_free(lane->http->head);
    pr_free(lane->http);
    lane->http = NULL;
}

static struct pr_lane_http *http_of(const struct pr_connection *connection) {
    return pr_lane_of(connection)->http;
}

/* Granting. */

static struct pr_express *new_express(struct pr_connection *connection, const struct pr_grant *grant, uint64_t size) {
    struct pr_express *express = pr_allocate(1, sizeof *express);
    struct pr_pattern *pattern = express ? pr_pattern_new(connection, grant, size) : NULL;
    if (!pattern) {
        pr_free(express);
        return NULL;
    }
    express->connection = connection;
    express->pattern = pattern;
    express->open = grant->open;
    express->until = pattern->until;
    pr_list_init(&express->granted);
    return express;
}

static bool answers_by(enum pr_engine engine) {
    return engine != PR_ENGINE_STREAM && engine != PR_ENGINE_ZEROCOPY;
}

static int check(const struct pr_connection *connection, const struct pr_generation *generation,
                 const struct pr_grant *grant) {
    if (!answers_by(grant->engine) || !answers_by(grant->large) || grant->head_length > MOST_HEAD ||
        grant->request.length > PR_WINDOW)
        return -EINVAL;
    /* An empty head would be found in nothing at all, again and again. */
    if (grant->request.length == 0 || grant->request.range_at > grant->request.length) return -EINVAL;
    if (!connection) return -EBADF;
    if (!generation || generation->closed || generation->info.size == 0) return -ESTALE;
    if (connection->owner != PR_OWNER_NODE || connection->current || connection->node_closed) return -EBUSY;
    bool copies = grant->engine == PR_ENGINE_COPY && (grant->large_from == 0 || grant->large == PR_ENGINE_COPY);
    if ((connection->peer.kind == PR_PEER_UNASKABLE || connection->upper_layer) && !copies) return -EXDEV;
    return connection->broken ? -ECONNRESET : 0;
}

/* Under the lock. */
static void enter(struct pr_connection *connection, struct pr_express *express) {
    struct pr_counters *counters = &connection->relay->counters;
    connection->express = express;
    connection->owner = PR_OWNER_LANE;
    connection->in_epoll = true;
    connection->abort = 0;
    pr_list_append(&http_of(connection)->granted, &express->granted);
    if (express->pattern) pr_pattern_enter(express->pattern);
    counters->grants++;
    counters->granted++;
}

/* What epoll reports of a connection: with a grant also that something came. Edges, so that a peek does not spin. */
static int listen_to(struct pr_connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLOUT | EPOLLET, .data.u64 = connection->id};
    return pr_sys.epoll_ctl(connection->poller->epoll, operation, connection->fd, &event) < 0 ? -errno : 0;
}

/* Under the lock. */
static void leave(struct pr_connection *connection) {
    struct pr_express *express = connection->express;
    connection->express = NULL;
    connection->relay->counters.granted--;
    pr_list_remove(&express->granted);
    if (express->pattern) pr_pattern_give(express->pattern);
    pr_free(express);
}

int pr_grant(struct pr_relay *relay, uint64_t id, const struct pr_grant *grant, uint64_t *pattern) {
    pr_lock(relay);
    struct pr_connection *connection = pr_slots_find(&relay->slots, PR_KIND_CONNECTION, id);
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, grant->generation);
    int result = check(connection, generation, grant);
    if (result == 0) result = pr_events_reserve(relay, 2); /* RETURNED, FORGOTTEN */
    struct pr_express *express = result == 0 ? new_express(connection, grant, generation->info.size) : NULL;
    if (result == 0 && !express) result = -ENOMEM;
    bool known = result == 0 && connection->in_epoll;
    if (express) {
        enter(connection, express);
        if (pattern) *pattern = express->pattern->id;
        if (grant->open) pr_pattern_open(express->pattern);
        pr_pin(connection);
    }
    pr_unlock(relay);
    if (result < 0) return result;

    /* What came meanwhile is reported at once, to a lane that finds the grant: it need not be woken for it. */
    result = listen_to(connection, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
    pr_lock(relay);
    pr_unpin(connection);
    bool back = connection->express != express; /* its time is over already: an event tells */
    if (result < 0 && !known) connection->in_epoll = false;
    if (result < 0 && !known && !back) {
        pr_pattern_withdraw(connection->express->pattern);
        leave(connection);
        relay->counters.grants--;
        connection->owner = PR_OWNER_NODE;
    } else if (result < 0 && !back) {
        /* The lane may be at it already, for what it was told of before: it gives it back. */
        express->over = true;
        pr_poller_ready(connection);
    }
    struct pr_poller *wake = result < 0 && known && !back ? connection->poller : NULL;
    pr_connection_settle(connection);
    pr_unlock(relay);
    if (wake) pr_poller_wake(wake);
    return wake || back ? 0 : result;
}

/* Letting in. */

/* How long a connection that asks for nothing is with its lane before it is Node's, with Node's own limits. */
#define PATIENCE 1000000000u /* ns */

static struct pr_express *new_guest(struct pr_connection *connection) {
    struct pr_express *express = pr_allocate(1, sizeof *express);
    if (!express) return NULL;
    express->connection = connection;
    express->open = true;
    express->until = pr_now() + PATIENCE;
    pr_list_init(&express->granted);
    return express;
}

void pr_express_let_in(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct pr_express *express = new_guest(connection);
    pr_lock(relay);
    connection->at_door = true;
    pr_pin(connection);
    relay->counters.accepted_connections++;
    bool guest = express && pr_patterns_open(relay) > 0;
    if (guest)
        enter(connection, express);
    else
        pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_ARRIVED, .id = connection->id});
    pr_unlock(relay);
    if (!guest) pr_free(express);
    bool heard = !guest || listen_to(connection, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP) == 0;
    pr_lock(relay);
    bool back = !heard && connection->express == express; /* else it came back already */
    if (!heard) connection->in_epoll = false;
    if (back) express->over = true;
    if (back) pr_poller_ready(connection);
    pr_unlock(relay);
    if (back) pr_poller_wake(connection->poller);
    pr_connection_unpin(connection);
}

/* Giving back. */

/* Of a connection that nobody else knows of, nothing is left to do for Node. */
static bool is_end(enum pr_return why) {
    return why == PR_RETURN_CLOSED || why == PR_RETURN_BROKEN;
}

void pr_express_end(struct pr_connection *connection, enum pr_return why, int error) {
    struct pr_relay *relay = connection->relay;
    struct pr_event event = {.kind = PR_EVENT_RETURNED, .id = connection->id, .error = (int16_t)-error};
    event.bytes = connection->express->answers;
    leave(connection);
    relay->counters.returns[why]++;
    if (connection->node_closed) return; /* nobody waits for it */
    if (connection->at_door && is_end(why)) {
        connection->node_closed = true;
        connection->owner = PR_OWNER_LANE;
        pr_look_soon(connection);
        return;
    }
    connection->owner = PR_OWNER_NODE;
    if (connection->at_door) event.kind = PR_EVENT_ARRIVED;
    pr_event_add(relay, event);
    pr_tell_if_drained(connection);
}

static bool give_back(struct pr_connection *connection, enum pr_return why) {
    if (!pr_window_keep(connection)) {
        pr_break_off(connection, -ENOMEM);
        return false;
    }
    bool ends = connection->at_door && is_end(why);
    if (!ends) listen_to(connection, EPOLL_CTL_MOD, 0); /* should that fail, the lane is woken for nothing */
    pr_lock(connection->relay);
    pr_express_end(connection, why, 0);
    bool look = ends && !pr_list_empty(&connection->undone);
    pr_unlock(connection->relay);
    if (look) pr_look(connection, &connection->poller->prober); /* mostly its client has read all */
    return false;
}

void pr_express_finish(struct pr_connection *connection) {
    connection->express->over = true;
    pr_poller_ready(connection);
}

void pr_express_peer_ended(struct pr_connection *connection) {
    connection->express->ended = true;
}

void pr_grants_end(struct pr_relay *relay) {
    pr_lock(relay);
    pr_patterns_withdraw(relay);
    for (unsigned index = 0; index < relay->lanes->count; index++) {
        pr_list_each(node, &relay->lanes->list[index].http->granted) {
            struct pr_express *express = pr_container(node, struct pr_express, granted);
            express->over = true;
            if (!express->connection->current) pr_poller_ready(express->connection);
        }
    }
    pr_unlock(relay);
    for (unsigned index = 0; index < relay->lanes->count; index++) pr_poller_wake(&relay->lanes->list[index].poller);
}

/* One whose time is over and that is idle, pinned; those that are not go on, or back, after their response. */
static struct pr_connection *take_expired(struct pr_lane *lane) {
    struct pr_connection *taken = NULL;
    uint64_t now = pr_now();
    pr_lock(lane->relay);
    pr_list_each(node, &lane->http->granted) {
        const struct pr_express *express = pr_container(node, struct pr_express, granted);
        if (taken || express->until > now) break;
        if (express->connection->current) continue;
        taken = express->connection;
        pr_pin(taken);
    }
    pr_unlock(lane->relay);
    return taken;
}

void pr_express_begin_round(struct pr_lane *lane) {
    lane->http->checked = 0;
}

void pr_express_expire(struct pr_lane *lane) {
    for (struct pr_connection *connection; (connection = take_expired(lane));) {
        give_back(connection, PR_RETURN_TIME);
        pr_connection_unpin(connection);
    }
}

/* The next request. */

static enum pr_return why_not(int error) {
    switch (error) {
    case -ESTALE:
    case -EBADF:
    case -ERANGE: return PR_RETURN_CHANGED;
    case -EAGAIN: return PR_RETURN_WRITER;
    case -ECONNRESET: return PR_RETURN_CLOSED;
    case -ENOBUFS: return PR_RETURN_LOG;
    default: return PR_RETURN_FAILED;
    }
}

/* A number without snprintf, which would be a tenth of the time that a whole answer takes. */
static char *write_number(char *at, uint64_t number) {
    char digits[20];
    size_t count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0) *at++ = digits[--count];
    return at;
}

static char *write_text(char *at, const char *text, size_t length) {
    memcpy(at, text, length);
    return at + length;
}

#define WRITE(at, text) write_text(at, text, sizeof(text) - 1)

/* RFC 9110 8.6, 14.4. Returns the length of the whole head. */
static size_t write_head(char *into, const struct pr_pattern *pattern, const struct pr_asked *asked) {
    const struct pr_grant *grant = &pattern->grant;
    char *at = write_text(into, grant->head, grant->head_length);
    if (grant->request.range_at == grant->request.length) return (size_t)(at - into);
    at = write_number(WRITE(at, "content-length: "), asked->length);
    at = write_number(WRITE(at, "\r\ncontent-range: bytes "), asked->offset);
    at = write_number(WRITE(at, "-"), asked->offset + asked->length - 1);
    at = write_number(WRITE(at, "/"), pattern->size);
    at = WRITE(at, "\r\n\r\n");
    return (size_t)(at - into);
}

/* Under the lock: what others may have done to it meanwhile. */
static bool is_gone(const struct pr_connection *connection) {
    return connection->node_closed || connection->broken;
}

/* Under the lock: it is not idle. */
static void stay(struct pr_express *express, uint64_t now) {
    express->until = now + (uint64_t)(express->pattern->grant.seconds * 1e9);
    pr_list_remove(&express->granted);
    pr_list_append(&http_of(express->connection)->granted, &express->granted);
}

/* A place in the log for the answer, and the reference. `look` says whether much is undone by now. */
static int take(struct pr_connection *connection, struct pr_transmission *transmission, bool *look) {
    struct pr_relay *relay = connection->relay;
    struct pr_express *express = connection->express;
    struct pr_answers *answers = &relay->http->answers;
    const struct pr_grant *grant = &express->pattern->grant;
    pr_lock(relay);
    bool full = answers->capacity > 0 && answers->used + answers->begun >= answers->capacity;
    int result = is_gone(connection) ? -ECONNRESET : full ? -ENOBUFS : 0;
    if (result == 0) result = pr_hold_take(relay, grant->generation, grant->epoch, grant->version, transmission);
    if (result == 0) answers->begun++;
    if (result == 0 && express->open) stay(express, transmission->reference.held_since);
    *look = pr_much_is_undone(connection);
    pr_unlock(relay);
    return result;
}

static int drop(struct pr_connection *connection, struct pr_transmission *transmission, int error) {
    pr_lock(connection->relay);
    connection->relay->http->answers.begun--;
    pr_hold_drop(transmission, pr_now());
    pr_unlock(connection->relay);
    return error;
}

/*
 * Once a round of the lane, which saves 0.5 of 10 µs in most answers. So what others do to a file is seen by the
 * round's end; what is done to it here is seen at once, by its version.
 */
static int check_file(struct pr_lane_http *lane, const struct pr_generation *generation) {
    if (lane->checked == generation->id) return 0;
    int result = pr_generation_is_unchanged(generation);
    if (result == 1) lane->checked = generation->id;
    return result < 0 ? result : result == 0 ? -ESTALE : 0;
}

/*
 * Where the body begins in what the connection has ever sent. It is asked for once: as long as the lane has the
 * connection, nobody else sends.
 */
static uint64_t body_start(struct pr_connection *connection, size_t head_length, uint64_t length) {
    struct pr_express *express = connection->express;
    if (express->position == 0) express->position = pr_position(connection->fd);
    uint64_t start = express->position + head_length;
    express->position = start + length;
    return start;
}

static enum pr_engine engine_for(const struct pr_grant *grant, uint64_t length) {
    if (length < grant->copy_below) return PR_ENGINE_COPY;
    return grant->large_from == 0 || length < grant->large_from ? grant->engine : grant->large;
}

static int begin_answer(struct pr_connection *connection, const struct pr_asked *asked) {
    const struct pr_pattern *pattern = connection->express->pattern;
    enum pr_engine engine = engine_for(&pattern->grant, asked->length);
    struct pr_segment extent = {.offset = asked->offset, .length = asked->length};
    struct pr_transmission *transmission = pr_hold_new(engine, &extent, 1);
    if (!transmission) return -ENOMEM;
    bool look;
    int result = take(connection, transmission, &look);
    if (result < 0) {
        pr_free(transmission);
        return result;
    }
    result = check_file(http_of(connection), transmission->reference.generation);
    if (result < 0) return drop(connection, transmission, result);
    if (look) pr_look(connection, &connection->poller->prober);

    size_t head_length = write_head(http_of(connection)->head, pattern, asked);
    uint64_t start = body_start(connection, head_length, asked->length);
    pr_lock(connection->relay);
    bool gone = is_gone(connection);
    const char *head = http_of(connection)->head;
    if (!gone) pr_begin(connection, transmission, head, head_length, start, transmission->reference.held_since);
    pr_unlock(connection->relay);
    return gone ? drop(connection, transmission, -ECONNRESET) : 0;
}

/* Why it can't go on; PR_RETURN_COUNT when it can. */
static enum pr_return why_over(const struct pr_express *express, uint64_t now) {
    if (express->over) return PR_RETURN_REVOKED;
    if (!express->open && express->until <= now) return PR_RETURN_TIME;
    bool spent = express->pattern && express->answers >= express->pattern->grant.most;
    return spent ? PR_RETURN_SPENT : PR_RETURN_COUNT;
}

/* Another pattern takes the place of the one that it had. */
static enum pr_match match_open(struct pr_connection *connection, const char *bytes, size_t length,
                                struct pr_asked *asked) {
    struct pr_express *express = connection->express;
    struct pr_pattern *found;
    pr_lock(connection->relay);
    enum pr_match result = pr_pattern_find(connection, bytes, length, &found, asked);
    if (result == PR_MATCH) {
        if (express->pattern) pr_pattern_give(express->pattern);
        express->pattern = found;
    }
    pr_unlock(connection->relay);
    return result;
}

static enum pr_match match_once(struct pr_connection *connection, struct pr_asked *asked) {
    const struct pr_express *express = connection->express;
    const struct pr_pattern *own = express->pattern;
    const struct pr_window *window = &http_of(connection)->window;
    const char *bytes = window->bytes + window->at;
    size_t length = window->length - window->at;
    enum pr_match result = PR_MATCH_NONE;
    if (own && own->until > pr_lane_of(connection)->now)
        result = pr_repeat_match(&own->grant.request, own->size, bytes, length, asked);
    if (result == PR_MATCH || !express->open) return result;
    enum pr_match other = match_open(connection, bytes, length, asked);
    return other == PR_MATCH_NONE ? result : other;
}

/* What the bytes in the window are; a head that the window's end cuts is read to its end. */
static enum pr_match match(struct pr_connection *connection, struct pr_asked *asked) {
    struct pr_window *window = &http_of(connection)->window;
    enum pr_match result;
    do result = match_once(connection, asked);
    while (result == PR_MATCH_SO_FAR && window->full && pr_window_read_on(connection) == PR_WINDOW_BYTES);
    return result;
}

/* What has changed may have been judged again since, on another connection. */
static int begin_otherwise(struct pr_connection *connection, struct pr_asked *asked, int error) {
    const struct pr_window *window = &http_of(connection)->window;
    if (!connection->express->open || why_not(error) != PR_RETURN_CHANGED) return error;
    pr_lock(connection->relay);
    pr_pattern_withdraw(connection->express->pattern);
    pr_unlock(connection->relay);
    size_t length = window->length - window->at;
    enum pr_match matched = match_open(connection, window->bytes + window->at, length, asked);
    return matched == PR_MATCH ? begin_answer(connection, asked) : error;
}

static enum pr_return why_unanswered(const struct pr_express *express, enum pr_match matched) {
    if (matched == PR_MATCH_SO_FAR) return PR_RETURN_PIECES;
    return express->pattern && express->pattern->until <= pr_now() ? PR_RETURN_TIME : PR_RETURN_REQUEST;
}

/* Then nothing comes back to it, and what is undone needs no grant. */
static bool node_has_closed(struct pr_connection *connection) {
    pr_lock(connection->relay);
    bool closed = connection->node_closed;
    pr_unlock(connection->relay);
    return closed;
}

bool pr_express_next(struct pr_connection *connection) {
    const struct pr_express *express = connection->express;
    if (!express) return false;
    enum pr_return over = why_over(express, pr_lane_of(connection)->now);
    if (over != PR_RETURN_COUNT) return give_back(connection, over);
    enum pr_window_sight sight = pr_window_look(connection);
    if (sight == PR_WINDOW_ENDED || (sight == PR_WINDOW_EMPTY && node_has_closed(connection)))
        return give_back(connection, PR_RETURN_CLOSED);
    if (sight == PR_WINDOW_EMPTY) return false;

    struct pr_asked asked;
    enum pr_match matched = match(connection, &asked);
    if (matched != PR_MATCH) return give_back(connection, why_unanswered(express, matched));
    int result = begin_answer(connection, &asked);
    if (result < 0) result = begin_otherwise(connection, &asked, result);
    if (result < 0) return give_back(connection, why_not(result));
    http_of(connection)->window.at += asked.consumed;
    return true;
}
