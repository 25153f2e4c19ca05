#include "http/responder.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "http/answering.h"
#include "http/crowd.h"
#include "http/deadlines.h"
#include "http/handover.h"
#include "http/layer.h"
#include "http/log.h"
#include "http/proxy.h"
#include "http/sending.h"
#include "lanes/layer.h"
#include "wire/client.h"
#include "wire/proxied.h"

int pr_responder_open(struct pr_lane *lane) {
    lane->http = pr_allocate(1, sizeof *lane->http);
    if (!lane->http) return -ENOMEM;
    pr_list_init(&lane->http->idle);
    pr_list_init(&lane->http->in_head);
    pr_list_init(&lane->http->answering);
    lane->http->window.bytes = pr_allocate(1, PR_WINDOW);
    return lane->http->window.bytes ? 0 : -ENOMEM;
}

void pr_responder_close(struct pr_lane *lane) {
    if (!lane->http) return;
    pr_free(lane->http->window.bytes);
    pr_free(lane->http->lines.bytes);
    pr_free(lane->http);
    lane->http = NULL;
}

int pr_respond(struct pr_relay *relay, const struct pr_responding *given) {
    struct pr_responding kept = *given;
    struct pr_text *texts[] = {&kept.before_time, &kept.behind_time, &kept.refusal, &kept.refusal_of_one};
    size_t length = 1;
    for (size_t each = 0; each < sizeof texts / sizeof *texts; each++) length += texts[each]->length;
    char *end = pr_allocate(1, length);
    if (!end) return -ENOMEM;
    for (size_t each = 0; each < sizeof texts / sizeof *texts; each++) {
        if (texts[each]->length > 0) memcpy(end, texts[each]->at, texts[each]->length);
        texts[each]->at = end;
        end += texts[each]->length;
    }
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

/* What the bytes in the window begin with; a head that the window's end cuts is read to its end. */
static enum pr_head_kind read_next_head(struct pr_connection *connection, struct pr_head *head) {
    struct pr_window *window = &pr_http_of(connection)->window;
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

/*
 * What was read stays with the connection, and epoll tells when more comes. Should it not do so, nobody would hear of
 * the connection any more: it becomes Node's.
 */
static enum pr_next wait_for_more(struct pr_connection *connection) {
    if (pr_poller_listen(connection, PR_READING_EVENTS) < 0)
        return pr_responder_hand_over(connection, PR_HANDED_CLOSING);
    pr_window_keep(connection);
    return PR_NEXT_NOTHING;
}

/* The rest of a head may come. How long it may take is counted from the first byte. */
static enum pr_next await_rest(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    pr_connection_lock(connection);
    if (!responder->in_head) pr_wait_in_head(connection);
    responder->in_head = true;
    pr_connection_unlock(connection);
    return wait_for_more(connection);
}

static enum pr_next wait_for_room(struct pr_connection *connection) {
    if (pr_poller_listen(connection, PR_READING_EVENTS | EPOLLOUT) < 0)
        pr_break_off(connection, -ENOMEM);
    else
        pr_window_keep(connection);
    return PR_NEXT_NOTHING;
}

static enum pr_next read_request(struct pr_connection *connection);

/*
 * The client that a proxy has named is connected from here on, if it may have one more connection. False: it may not,
 * or there is no memory.
 */
static bool take_client(struct pr_connection *connection, const struct pr_proxy *proxy) {
    struct pr_relay *relay = connection->relay;
    bool is_named = proxy->client.any.sa_family != AF_UNSPEC;
    pr_lock(relay);
    bool taken = !is_named || pr_set_client(connection, &proxy->client);
    bool has_room = pr_client_has_room_for(connection);
    if (!has_room) pr_part_of(connection)->counters.limited[PR_LIMITED_CONNECTIONS_PER_ADDRESS]++;
    struct pr_text refusal = relay->http->responding.refusal_of_one; /* it stays while doors are open */
    connection->awaits_proxy = !taken;
    connection->responder->in_head = false;
    pr_wait_idle(connection);
    pr_unlock(relay);
    if (taken && has_room) pr_client_recount(connection);
    if (!has_room && refusal.length > 0)
        pr_sys.send(connection->fd, refusal.at, refusal.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return taken && has_room;
}

/* The header of the PROXY protocol. Who sends anything else is closed, for it may be no proxy that one could trust. */
static enum pr_next read_proxy(struct pr_connection *connection) {
    struct pr_window *window = &pr_http_of(connection)->window;
    struct pr_proxy proxy;
    for (;;) {
        enum pr_head_kind kind = pr_proxy_read(window->bytes + window->at, window->length - window->at, &proxy);
        if (kind == PR_HEAD_FOREIGN) return pr_responder_leave(connection);
        if (kind == PR_HEAD_WHOLE) break;
        enum pr_window_sight sight = pr_window_read_on(connection);
        if (sight == PR_WINDOW_ENDED) return pr_responder_leave(connection);
        if (sight != PR_WINDOW_BYTES) return wait_for_more(connection);
    }
    window->at += proxy.length;
    return take_client(connection, &proxy) ? read_request(connection) : pr_responder_leave(connection);
}

static enum pr_next read_request(struct pr_connection *connection) {
    enum pr_window_sight sight = pr_window_look(connection);
    if (sight == PR_WINDOW_ENDED) return pr_responder_leave(connection);
    if (sight == PR_WINDOW_EMPTY) return wait_for_more(connection);
    if (connection->awaits_proxy) return read_proxy(connection);
    struct pr_head head;
    switch (read_next_head(connection, &head)) {
    case PR_HEAD_WHOLE: return pr_responder_answer(connection, &head);
    case PR_HEAD_PART: return connection->responder->ended ? pr_responder_leave(connection) : await_rest(connection);
    default: return pr_responder_hand_over(connection, PR_HANDED_GRAMMAR);
    }
}

enum pr_next pr_responder_next(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    if (pr_makes_room(connection)) return pr_responder_leave(connection);
    int sent = pr_send_unsent(connection);
    if (sent < 0) return pr_responder_leave(connection);
    if (sent == 0) return wait_for_room(connection);
    if (responder->closes) return pr_responder_end(connection);
    if (responder->over) return pr_responder_hand_over(connection, PR_HANDED_CLOSING);
    return read_request(connection);
}
