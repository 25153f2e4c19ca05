#include "http/responder.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "http/accesslog.h"
#include "http/layer.h"
#include "http/log.h"
#include "lanes/layer.h"
#include "pages/generation.h"
#include "wire/done.h"
#include "wire/hold.h"

/* How often the path of a region is looked at, at most. */
#define LOOK_AT_PATH 20000000u /* ns */

/* A body that is copied can be followed by our FIN at once; others have to be done before (docs/done.md). */
enum { COPY_BEFORE_CLOSE = 64 << 10 };

int pr_responder_open(struct pr_lane *lane) {
    lane->http = pr_allocate(1, sizeof *lane->http);
    if (!lane->http) return -ENOMEM;
    pr_list_init(&lane->http->idle);
    pr_list_init(&lane->http->in_head);
    lane->http->window.bytes = pr_allocate(1, PR_WINDOW);
    return lane->http->window.bytes ? 0 : -ENOMEM;
}

void pr_responder_close(struct pr_lane *lane) {
    if (!lane->http) return;
    pr_free(lane->http->window.bytes);
    pr_free(lane->http);
    lane->http = NULL;
}

int pr_respond(struct pr_relay *relay, const struct pr_responding *given) {
    struct pr_responding kept = *given;
    size_t before = given->before_time.length, behind = given->behind_time.length;
    char *texts = pr_allocate(1, before + behind + 1);
    if (!texts) return -ENOMEM;
    if (before > 0) memcpy(texts, given->before_time.at, before);
    if (behind > 0) memcpy(texts + before, given->behind_time.at, behind);
    kept.before_time.at = texts;
    kept.behind_time.at = texts + before;
    if (kept.log) pr_log_keep(kept.log);
    pr_lock(relay);
    struct pr_responding last = relay->http->responding;
    relay->http->responding = kept;
    pr_unlock(relay);
    pr_responding_free(&last);
    return 0;
}

void pr_responding_free(struct pr_responding *responding) {
    if (responding->log) pr_log_close(responding->log);
    pr_free((void *)(uintptr_t)responding->before_time.at);
}

static struct pr_lane_http *http_of(const struct pr_connection *connection) {
    return pr_lane_of(connection)->http;
}

/* Beginning and ending to read. */

static struct pr_responder *new_responder(struct pr_connection *connection) {
    struct pr_responder *responder = pr_allocate(1, sizeof *responder);
    if (!responder) return NULL;
    responder->connection = connection;
    pr_list_init(&responder->waiting);
    return responder;
}

/* Under the lock: waits in a list of its lane, each of which is in the order of deadlines, for all in it wait as long.
 */
static void wait_in(struct pr_responder *responder, struct pr_list *list, unsigned seconds) {
    responder->until = pr_now() + (uint64_t)seconds * 1000000000u;
    pr_list_remove(&responder->waiting);
    pr_list_append(list, &responder->waiting);
}

/* Under the lock. */
static void begin_reading(struct pr_connection *connection, struct pr_responder *responder) {
    connection->responder = responder;
    pr_move(connection, PR_PHASE_LANE);
    connection->in_epoll = true;
    connection->is_fed = false;
    connection->fed = 0;
    connection->abort = 0;
    wait_in(responder, &http_of(connection)->idle, connection->relay->http->responding.keep_alive);
    connection->relay->counters.reading++;
}

/* Under the lock. */
static void end_reading(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    connection->responder = NULL;
    connection->relay->counters.reading--;
    pr_list_remove(&responder->waiting);
    if (responder->published) pr_published_give(responder->published);
    pr_free(responder->unsent);
    pr_free(responder->asked);
    pr_free(responder);
}

/* What epoll reports of a connection. Edges: what is looked at to its end is reported once. */
static int listen_to(struct pr_connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLOUT | EPOLLET, .data.u64 = connection->id};
    return pr_sys.epoll_ctl(connection->poller->epoll, operation, connection->fd, &event) < 0 ? -errno : 0;
}

void pr_responder_let_in(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct pr_responder *responder = new_responder(connection);
    pr_lock(relay);
    connection->at_door = true;
    pr_pin(connection);
    relay->counters.accepted_connections++;
    bool reads = responder && !relay->http->hands_over;
    if (reads)
        begin_reading(connection, responder);
    else
        pr_event_add(relay,
                     (struct pr_event){.kind = PR_EVENT_ARRIVED, .id = connection->id, .bytes = PR_RETURN_HANDED});
    pr_unlock(relay);
    if (!reads) pr_free(responder);
    bool heard = !reads || listen_to(connection, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP) == 0;
    pr_lock(relay);
    bool back = !heard && connection->responder == responder;
    if (!heard) connection->in_epoll = false;
    if (back) responder->over = true;
    if (back) pr_poller_ready(connection);
    pr_unlock(relay);
    if (back) pr_poller_wake(connection->poller);
    pr_connection_unpin(connection);
}

/* Under the lock: Node reads it from now on, and before that what was read of it. */
static void keep_with_node(struct pr_connection *connection, enum pr_handed why) {
    connection->is_fed = false;
    connection->fed = SIZE_MAX;
    connection->relay->counters.handed_over[why]++;
}

int pr_resume(struct pr_relay *relay, uint64_t id) {
    pr_lock(relay);
    struct pr_connection *connection = pr_slots_find(&relay->slots, PR_KIND_CONNECTION, id);
    bool may = connection && connection->is_fed && connection->phase == PR_PHASE_NODE && !connection->current &&
               connection->fed == 0;
    int result = !connection ? -EBADF : !may ? -EBUSY : pr_events_reserve(relay, 2); /* RETURNED, twice */
    struct pr_responder *responder = result == 0 ? new_responder(connection) : NULL;
    if (result == 0 && !responder) result = -ENOMEM;
    if (result == -ENOMEM) keep_with_node(connection, PR_HANDED_CLOSING);
    if (responder) {
        begin_reading(connection, responder);
        responder->over = relay->http->hands_over;
        pr_pin(connection);
    }
    bool behind = responder && (connection->unread || responder->over);
    bool asleep = behind && pr_poller_ready(connection);
    pr_unlock(relay);
    if (!responder) return result;
    /* What came meanwhile is reported at once. Should that fail, nobody would hear of the connection any more. */
    bool heard = listen_to(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP) == 0;
    pr_lock(relay);
    if (!heard && connection->responder == responder) {
        responder->over = true;
        asleep = pr_poller_ready(connection);
    }
    pr_unlock(relay);
    if (asleep) pr_poller_wake(connection->poller);
    pr_connection_unpin(connection);
    return 0;
}

void pr_responder_ended(struct pr_connection *connection, enum pr_return what) {
    struct pr_relay *relay = connection->relay;
    struct pr_event event = {.kind = PR_EVENT_RETURNED, .id = connection->id, .bytes = what};
    end_reading(connection);
    if (connection->phase == PR_PHASE_LEAVING) pr_move(connection, PR_PHASE_CLOSED);
    if (pr_node_has_closed(connection)) return; /* nobody waits for it */
    if (connection->at_door && what == PR_RETURN_CLOSED) {
        pr_move(connection, pr_is_broken(connection) ? PR_PHASE_BROKEN_CLOSED : PR_PHASE_CLOSED);
        pr_look_soon(connection);
        return;
    }
    if (connection->phase == PR_PHASE_LANE) pr_move(connection, PR_PHASE_NODE);
    connection->is_fed = what == PR_RETURN_FED;
    if (connection->at_door) event.kind = PR_EVENT_ARRIVED;
    pr_event_add(relay, event);
    pr_tell_if_drained(connection);
}

/* Nothing is left to do for anybody but to see what is undone. */
static enum pr_next close_it(struct pr_connection *connection) {
    pr_window_clear(pr_lane_of(connection));
    listen_to(connection, EPOLL_CTL_MOD, 0); /* should that fail, the lane is woken for nothing */
    pr_lock(connection->relay);
    pr_responder_ended(connection, PR_RETURN_CLOSED);
    bool look = pr_node_has_closed(connection) && !pr_list_empty(&connection->undone);
    pr_unlock(connection->relay);
    if (look) pr_look(connection, &connection->poller->prober); /* mostly its client has read all */
    return PR_NEXT_NOTHING;
}

/* All of it, with what was read. */
static enum pr_next hand_connection_over(struct pr_connection *connection, enum pr_handed why) {
    if (!pr_window_keep(connection)) {
        pr_break_off(connection, -ENOMEM);
        return PR_NEXT_NOTHING;
    }
    listen_to(connection, EPOLL_CTL_MOD, 0);
    pr_lock(connection->relay);
    keep_with_node(connection, why);
    pr_responder_ended(connection, why == PR_HANDED_LATE ? PR_RETURN_LATE : PR_RETURN_HANDED);
    pr_unlock(connection->relay);
    return PR_NEXT_NOTHING;
}

/*
 * One head. Where the client will send nothing more, Node has to see that while it answers, for it may go on for long:
 * then the connection is its own.
 */
static enum pr_next feed(struct pr_connection *connection, const struct pr_head *head, enum pr_fed why) {
    if (connection->responder->ended) return hand_connection_over(connection, PR_HANDED_END);
    if (head->upgrades) return hand_connection_over(connection, PR_HANDED_GRAMMAR);
    if (!pr_window_keep(connection)) {
        pr_break_off(connection, -ENOMEM);
        return PR_NEXT_NOTHING;
    }
    listen_to(connection, EPOLL_CTL_MOD, EPOLLRDHUP); /* before Node can resume it */
    pr_lock(connection->relay);
    connection->fed = head->length;
    connection->relay->counters.fed[why]++;
    pr_responder_ended(connection, PR_RETURN_FED);
    pr_unlock(connection->relay);
    return PR_NEXT_NOTHING;
}

/* Node sees the end of what the client sends, and what it has sent besides. */
static void hand_over_fed(struct pr_connection *connection) {
    struct pr_event event = {.kind = PR_EVENT_RETURNED, .id = connection->id, .bytes = PR_RETURN_HANDED};
    keep_with_node(connection, PR_HANDED_END);
    if (connection->at_door)
        connection->ended_at_door = true;
    else
        pr_event_add(connection->relay, event);
}

void pr_responder_peer_ended(struct pr_connection *connection) {
    if (connection->responder)
        connection->responder->ended = true;
    else if (connection->is_fed && !pr_node_has_closed(connection))
        hand_over_fed(connection);
}

void pr_responder_finish(struct pr_connection *connection) {
    connection->responder->over = true;
    pr_poller_ready(connection);
}

void pr_hand_over_all(struct pr_relay *relay) {
    uint32_t cursor = 0;
    struct pr_connection *connection;
    pr_withdraw(relay);
    pr_forget_allowed(relay);
    pr_lock(relay);
    relay->http->hands_over = true;
    while ((connection = pr_slots_next(&relay->slots, PR_KIND_CONNECTION, &cursor))) {
        if (!connection->responder) continue;
        connection->responder->over = true;
        if (!connection->current) pr_poller_ready(connection);
    }
    pr_unlock(relay);
    for (unsigned index = 0; index < relay->lanes->count; index++) pr_poller_wake(&relay->lanes->list[index].poller);
}

/* Deadlines. */

/* One whose time is over, pinned. What has become ready meanwhile is looked at in its turn. */
static struct pr_connection *take_expired(struct pr_lane *lane, struct pr_list *list) {
    struct pr_connection *taken = NULL;
    pr_lock(lane->relay);
    if (!pr_list_empty(list)) {
        struct pr_responder *first = pr_container(list->next, struct pr_responder, waiting);
        if (first->until <= lane->now) {
            pr_list_remove(&first->waiting);
            taken = first->connection;
            pr_pin(taken);
        }
    }
    pr_unlock(lane->relay);
    return taken;
}

static void go_on(struct pr_connection *connection) {
    bool kept = pr_window_keep(connection);
    if (!kept) pr_break_off(connection, -ENOMEM);
    pr_lock(connection->relay);
    if (kept)
        wait_in(connection->responder, &http_of(connection)->idle, connection->relay->http->responding.keep_alive);
    if (kept) pr_poller_ready(connection);
    pr_unlock(connection->relay);
}

void pr_responder_expire(struct pr_lane *lane) {
    struct pr_connection *connection;
    lane->now = pr_now();
    while ((connection = take_expired(lane, &lane->http->idle))) {
        pr_window_clear(lane);
        /* Who does not take what it was answered has no more time for what else it has asked. */
        if (!connection->responder->unsent && pr_window_look(connection) == PR_WINDOW_BYTES)
            go_on(connection); /* it has come just now */
        else
            close_it(connection);
        pr_connection_unpin(connection);
    }
    while ((connection = take_expired(lane, &lane->http->in_head))) {
        pr_window_clear(lane);
        hand_connection_over(connection, PR_HANDED_LATE);
        pr_connection_unpin(connection);
    }
}

/* Answering. */

/* Under the lock: what others may have done to it meanwhile. */
static bool is_gone(const struct pr_connection *connection) {
    return pr_node_has_closed(connection) || pr_is_broken(connection);
}

/*
 * Whether the path still leads to what was published, looked at once in 20 ms: so long may an answer come from a file
 * that others have replaced or changed. What is changed through this service is seen at once, by its version.
 */
static bool is_at_its_path(struct pr_connection *connection, struct pr_published *published) {
    struct pr_relay *relay = connection->relay;
    uint64_t now = pr_lane_of(connection)->now;
    if (published->looked_at + LOOK_AT_PATH > now) return true;
    const struct pr_publication *is = &published->is;
    bool is_there = pr_generation_is_still_at(relay, is->generation, is->tree, is->name.at) == 1;
    pr_lock(relay);
    if (is_there) published->looked_at = now;
    pr_unlock(relay);
    return is_there;
}

/*
 * Where the body begins in what the connection has ever sent. It is asked for once: as long as the lane reads the
 * connection, nobody else sends.
 */
static uint64_t body_start(struct pr_connection *connection, size_t head_length, uint64_t length) {
    struct pr_responder *responder = connection->responder;
    if (responder->position == 0) responder->position = pr_position(connection->fd);
    uint64_t start = responder->position + head_length;
    responder->position = start + length;
    return start;
}

/* A peer is classified before its first answer that is not copied. */
static enum pr_engine engine_for(struct pr_connection *connection, const struct pr_publication *is, uint64_t length) {
    bool closes_soon = connection->responder->closes && length <= COPY_BEFORE_CLOSE;
    if (length < is->copy_below || closes_soon) return PR_ENGINE_COPY;
    enum pr_engine engine = is->large_from == 0 || length < is->large_from ? is->engine : is->large;
    if (engine == PR_ENGINE_COPY) return engine;
    if (!connection->classified && pr_connection_classify(connection, &connection->poller->prober, false) < 0)
        return PR_ENGINE_COPY;
    return connection->peer.kind == PR_PEER_UNASKABLE || connection->upper_layer ? PR_ENGINE_COPY : engine;
}

static size_t write_head(struct pr_connection *connection, char *into) {
    const struct pr_responder *responder = connection->responder;
    return pr_answer_head(into, responder->published, &responder->answer, !responder->closes,
                          connection->relay->http->responding.keep_alive, &http_of(connection)->head_end);
}

static enum pr_fed why_not(int error) {
    switch (error) {
    case -ESTALE:
    case -EBADF:
    case -ERANGE: return PR_FED_CHANGED;
    case -EAGAIN: return PR_FED_WRITER;
    default: return PR_FED_FAILED;
    }
}

/* Under the lock. What was withdrawn meanwhile is nobody's to answer: others may write to its file from then on. */
static int take_pages_of_answer(struct pr_connection *connection, struct pr_transmission *transmission) {
    const struct pr_published *published = connection->responder->published;
    const struct pr_publication *is = &published->is;
    if (is_gone(connection)) return -ECONNRESET;
    if (pr_list_empty(&published->bucket)) return -ESTALE;
    if (connection->relay->http->suspended) return -EAGAIN; /* the tree's lock was given up meanwhile */
    return pr_hold_take(connection->relay, is->generation, is->epoch, is->version, transmission);
}

/* A head and a body whose pages are held from here on. */
static int begin_body(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct pr_responder *responder = connection->responder;
    const struct pr_publication *is = &responder->published->is;
    struct pr_segment extent = {.offset = responder->answer.offset, .length = responder->answer.length};
    struct pr_transmission *transmission = pr_hold_new(engine_for(connection, is, extent.length), &extent, 1);
    if (!transmission) return -ENOMEM;
    pr_lock(relay);
    int result = take_pages_of_answer(connection, transmission);
    bool look = pr_much_is_undone(connection);
    pr_unlock(relay);
    if (result < 0) {
        pr_free(transmission);
        return result;
    }
    if (look) pr_look(connection, &connection->poller->prober);
    size_t head_length = write_head(connection, http_of(connection)->head);
    uint64_t start = body_start(connection, head_length, extent.length);
    pr_lock(relay);
    bool gone = is_gone(connection);
    if (gone)
        pr_hold_drop(transmission, pr_now());
    else
        pr_begin(connection, transmission, http_of(connection)->head, head_length, start, responder->begun);
    pr_unlock(relay);
    return gone ? -ECONNRESET : 0;
}

static int keep_unsent(struct pr_responder *responder, const char *bytes, size_t length) {
    responder->unsent = pr_allocate(1, sizeof *responder->unsent + length);
    if (!responder->unsent) return -ENOMEM;
    responder->unsent->length = length;
    memcpy(responder->unsent->bytes, bytes, length);
    return 0;
}

/* How many bytes the socket takes: 0 for none now, or -errno. */
static ssize_t send_some(struct pr_connection *connection, const char *bytes, size_t length) {
    ssize_t sent;
    do sent = pr_sys.send(connection->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : errno == EAGAIN ? 0 : -errno;
}

/* A response that is a head alone. */
static int answer_head(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    const char *head = http_of(connection)->head;
    size_t length = write_head(connection, http_of(connection)->head);
    body_start(connection, length, 0);
    ssize_t sent = send_some(connection, head, length);
    if (sent < 0) return (int)sent;
    if ((size_t)sent == length || keep_unsent(responder, head + sent, length - (size_t)sent) == 0) return 0;
    return sent > 0 ? -EPIPE : -ENOMEM; /* what was begun, nobody else may answer */
}

/* What is left of one: 1 when nothing is, 0 when the socket takes no more, or -errno. */
static int send_unsent(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    struct pr_unread *unsent = responder->unsent;
    if (!unsent) return 1;
    ssize_t sent = send_some(connection, unsent->bytes + unsent->at, unsent->length - unsent->at);
    if (sent < 0) return (int)sent;
    unsent->at += (size_t)sent;
    if (unsent->at < unsent->length) return 0;
    pr_free(unsent);
    responder->unsent = NULL;
    return 1;
}

static enum pr_answered kind_of(const struct pr_head *head, const struct pr_answer *answer) {
    if (answer->status == PR_STATUS_NOT_MODIFIED)
        return head->is_head ? PR_ANSWERED_HEAD_NOT_MODIFIED : PR_ANSWERED_NOT_MODIFIED;
    if (head->is_head) return PR_ANSWERED_HEAD;
    return answer->status == PR_STATUS_PARTIAL ? PR_ANSWERED_RANGE : PR_ANSWERED_WHOLE;
}

void pr_responder_answered(struct pr_connection *connection, const struct pr_transmission *transmission,
                           enum pr_outcome outcome, int error) {
    struct pr_relay *relay = connection->relay;
    struct pr_responder *responder = connection->responder;
    struct pr_counters *counters = &relay->counters;
    counters->answers[responder->kind]++;
    if (responder->kind == PR_ANSWERED_WHOLE) counters->whole_by_engine[transmission->engine]++;
    if (responder->kind == PR_ANSWERED_RANGE) counters->ranged_by_engine[transmission->engine]++;
    relay->http->answers++;
    if (relay->http->responding.log) pr_access_log(connection, transmission, outcome, error);
    pr_published_give(responder->published);
    responder->published = NULL;
    wait_in(responder, &http_of(connection)->idle, relay->http->responding.keep_alive);
}

/* Under the lock: what a lane may answer to this request, and by what. */
static enum pr_fed find_answer(struct pr_connection *connection, const struct pr_head *head, struct pr_answer *answer) {
    struct pr_relay *relay = connection->relay;
    if (!head->is_plain || !(head->is_get || head->is_head)) return PR_FED_REQUEST;
    struct pr_published *published = pr_published_find(relay, head->target);
    if (!published) return PR_FED_UNPUBLISHED;
    connection->responder->published = published;
    bool asked_well = head->host.at ? pr_host_is_known(relay, head->host) : head->is_http_1_0;
    if (relay->http->suspended || !asked_well || !pr_may_read(relay, head->authorization)) return PR_FED_GUARD;
    *answer = pr_answer_judge(&published->is, published->size, head);
    if (answer->status == 0) return PR_FED_REQUEST;
    /* One without a body takes no reference, which would find out. */
    const struct pr_publication *is = &published->is;
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, is->generation);
    bool is_current = generation && !generation->closed && generation->inode->epoch == is->epoch &&
                      generation->inode->version == is->version && generation->inode->changing == 0;
    return is_current ? PR_FED_COUNT : PR_FED_CHANGED;
}

/* Under the lock: it is Node's to answer. */
static void leave_to_node(struct pr_connection *connection, enum pr_fed why) {
    struct pr_responder *responder = connection->responder;
    if (!responder->published) return;
    if (why == PR_FED_CHANGED) pr_published_withdraw(connection->relay, responder->published);
    pr_published_give(responder->published);
    responder->published = NULL;
}

static enum pr_next respond(struct pr_connection *connection, const struct pr_head *head) {
    struct pr_relay *relay = connection->relay;
    struct pr_responder *responder = connection->responder;
    struct pr_answer answer = {0};
    pr_lock(relay);
    enum pr_fed why = find_answer(connection, head, &answer);
    pr_list_remove(&responder->waiting);
    responder->in_head = false;
    pr_unlock(relay);
    responder->answer = answer;
    /* As Node does it: to a client of HTTP/1.0 a response without a length ends with its connection, 304 too. */
    bool has_length = answer.status != PR_STATUS_NOT_MODIFIED || !head->is_http_1_0;
    responder->closes = !head->keeps_connection || !has_length;
    responder->begun = pr_lane_of(connection)->now;
    responder->is_http_1_0 = head->is_http_1_0;
    if (relay->http->responding.combined && why == PR_FED_COUNT) {
        pr_free(responder->asked);
        responder->asked = pr_access_log_asked(head);
    }
    if (why == PR_FED_COUNT) responder->kind = kind_of(head, &answer);
    if (why == PR_FED_COUNT && !is_at_its_path(connection, responder->published)) why = PR_FED_CHANGED;
    int result = why < PR_FED_COUNT ? 0 : answer.has_body ? begin_body(connection) : answer_head(connection);
    if (result == -ECONNRESET || result == -EPIPE) return close_it(connection);
    if (result < 0) why = why_not(result);
    if (why < PR_FED_COUNT) {
        pr_lock(relay);
        leave_to_node(connection, why);
        pr_unlock(relay);
        return feed(connection, head, why);
    }
    http_of(connection)->window.at += head->length;
    if (answer.has_body) return PR_NEXT_BEGUN;
    pr_lock(relay);
    pr_responder_answered(connection, NULL, PR_OUTCOME_COMPLETE, 0);
    pr_unlock(relay);
    return PR_NEXT_ANSWERED;
}

/* Reading. */

/* What the bytes in the window begin with; a head that the window's end cuts is read to its end. */
static enum pr_head_kind read_next_head(struct pr_connection *connection, struct pr_head *head) {
    struct pr_window *window = &http_of(connection)->window;
    for (;;) {
        enum pr_head_kind kind = pr_head_read(window->bytes + window->at, window->length - window->at, head);
        if (kind != PR_HEAD_PART) return kind;
        /* A short read may have been cut by urgent data, and what came before a FIN may be unread: it is no new edge.
         */
        enum pr_window_sight sight = pr_window_read_on(connection);
        if (sight == PR_WINDOW_ENDED) connection->responder->ended = true;
        if (sight != PR_WINDOW_BYTES) return kind;
    }
}

/* What was read stays with the connection, and more may come. */
static enum pr_next wait_for_more(struct pr_connection *connection) {
    if (!pr_window_keep(connection)) pr_break_off(connection, -ENOMEM);
    return PR_NEXT_NOTHING;
}

/* The rest of a head may come. How long it may take is counted from the first byte. */
static enum pr_next await_rest(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    pr_lock(connection->relay);
    if (!responder->in_head)
        wait_in(responder, &http_of(connection)->in_head, connection->relay->http->responding.head);
    responder->in_head = true;
    pr_unlock(connection->relay);
    return wait_for_more(connection);
}

static bool node_has_closed(struct pr_connection *connection) {
    pr_lock(connection->relay);
    bool closed = pr_node_has_closed(connection);
    pr_unlock(connection->relay);
    return closed;
}

static enum pr_next read_request(struct pr_connection *connection) {
    enum pr_window_sight sight = pr_window_look(connection);
    if (sight == PR_WINDOW_ENDED || (sight == PR_WINDOW_EMPTY && node_has_closed(connection)))
        return close_it(connection);
    if (sight == PR_WINDOW_EMPTY) return PR_NEXT_NOTHING;
    struct pr_head head;
    switch (read_next_head(connection, &head)) {
    case PR_HEAD_WHOLE: return respond(connection, &head);
    case PR_HEAD_PART: return connection->responder->ended ? close_it(connection) : await_rest(connection);
    default: return hand_connection_over(connection, PR_HANDED_GRAMMAR);
    }
}

enum pr_next pr_responder_next(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    if (!responder) return PR_NEXT_NOTHING;
    int sent = send_unsent(connection);
    if (sent < 0) return close_it(connection);
    if (sent == 0) return wait_for_more(connection); /* epoll tells when there is room */
    if (responder->closes) return close_it(connection);
    if (responder->over) return hand_connection_over(connection, PR_HANDED_CLOSING);
    return read_request(connection);
}
