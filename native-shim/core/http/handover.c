#include "http/handover.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/sys.h"
#include "http/deadlines.h"
#include "http/layer.h"
#include "lanes/layer.h"
#include "wire/client.h"
#include "wire/done.h"

static struct pr_responder *new_responder(struct pr_connection *connection) {
    struct pr_responder *responder = pr_allocate(1, sizeof *responder);
    if (!responder) return NULL;
    responder->connection = connection;
    pr_list_init(&responder->waiting);
    return responder;
}

/* Under its lane's lock. */
static void begin_reading(struct pr_connection *connection, struct pr_responder *responder) {
    connection->responder = responder;
    pr_move(connection, PR_PHASE_LANE);
    connection->is_fed = false;
    connection->fed = 0;
    connection->abort = 0;
    pr_wait_idle(connection);
    pr_part_of(connection)->counters.reading++;
}

/* Under its lane's lock. */
static void end_reading(struct pr_connection *connection) {
    struct pr_responder *responder = connection->responder;
    connection->responder = NULL;
    pr_part_of(connection)->counters.reading--;
    pr_list_remove(&responder->waiting);
    pr_free(responder->unsent);
    pr_free(responder->asked);
    pr_free(responder);
}

void pr_responder_let_in(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    struct pr_poller *poller = connection->poller;
    struct pr_responder *responder = new_responder(connection);
    bool asleep = false;
    pr_lock_part(poller->part);
    connection->at_door = true;
    pr_part_of(connection)->counters.accepted_connections++;
    bool reads = responder && !relay->http->hands_over;
    if (responder) responder->knows_position = true; /* nothing was sent yet */
    if (reads) {
        begin_reading(connection, responder);
        if (connection->awaits_proxy) pr_wait_in_head(connection);
        responder->in_head = connection->awaits_proxy;
        asleep = pr_poller_ready(connection); /* mostly its request is there, and epoll need not be asked for it */
    } else {
        pr_event_add(relay,
                     (struct pr_event){.kind = PR_EVENT_ARRIVED, .id = connection->id, .bytes = PR_RETURN_HANDED});
        pr_free(responder);
    }
    pr_unlock_part(poller->part); /* its lane may have closed it from here on */
    if (asleep) pr_poller_wake(poller);
}

/* Under its lane's lock: Node reads it from now on, and before that what was read of it. */
static void keep_with_node(struct pr_connection *connection, enum pr_handed why) {
    connection->is_fed = false;
    connection->fed = SIZE_MAX;
    pr_part_of(connection)->counters.handed_over[why]++;
}

int pr_resume(struct pr_relay *relay, uint64_t id) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return -EBADF;
    bool may = connection->is_fed && connection->phase == PR_PHASE_NODE && !connection->current && connection->fed == 0;
    int result = may ? pr_events_reserve(relay, 2) : -EBUSY; /* RETURNED, twice */
    struct pr_responder *responder = result == 0 ? new_responder(connection) : NULL;
    if (result == 0 && !responder) result = -ENOMEM;
    if (result == -ENOMEM) keep_with_node(connection, PR_HANDED_CLOSING);
    if (responder) {
        begin_reading(connection, responder);
        /* What has come meanwhile is reported at once. Should it fail, nobody would hear of it: it becomes Node's. */
        bool heard = pr_poller_listen(connection, PR_READING_EVENTS | EPOLLOUT) == 0;
        responder->over = relay->http->hands_over || !heard;
    }
    bool behind = responder && (connection->unread || responder->over);
    bool asleep = behind && pr_poller_ready(connection);
    struct pr_poller *poller = connection->poller;
    pr_connection_unlock_both(connection);
    if (asleep) pr_poller_wake(poller);
    return result;
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

enum pr_next pr_responder_leave(struct pr_connection *connection) {
    pr_window_clear(pr_lane_of(connection));
    pr_connection_lock(connection);
    bool is_undone = !pr_list_empty(&connection->undone);
    pr_connection_unlock(connection);
    if (is_undone) pr_look(connection, &connection->poller->prober); /* mostly its client has read all */
    pr_connection_lock(connection);
    bool stays = !pr_list_empty(&connection->undone) || !connection->at_door;
    pr_responder_ended(connection, PR_RETURN_CLOSED);
    pr_connection_unlock(connection);
    if (stays) pr_poller_listen(connection, 0); /* should that fail, the lane is woken for nothing */
    return PR_NEXT_NOTHING;
}

/*
 * The kernel answers what nobody has read, or what comes after a close, by a reset, which can cost the client a
 * response that it has not read yet. So where something has come behind its last request, Node ends the connection in
 * stages (RFC 9112 9.6).
 */
enum pr_next pr_responder_end(struct pr_connection *connection) {
    if (pr_window_look(connection) != PR_WINDOW_BYTES) return pr_responder_leave(connection);
    return pr_responder_hand_over(connection, PR_HANDED_LAST);
}

static enum pr_return return_for(enum pr_handed why) {
    return why == PR_HANDED_LATE ? PR_RETURN_LATE : why == PR_HANDED_LAST ? PR_RETURN_LAST : PR_RETURN_HANDED;
}

enum pr_next pr_responder_hand_over(struct pr_connection *connection, enum pr_handed why) {
    if (connection->awaits_proxy) return pr_responder_leave(connection); /* Node would take it for the proxy's own */
    if (!pr_window_keep(connection)) return PR_NEXT_NOTHING;
    if (connection->listens) pr_poller_listen(connection, 0);
    pr_connection_lock(connection);
    keep_with_node(connection, why);
    pr_responder_ended(connection, return_for(why));
    pr_connection_unlock(connection);
    return PR_NEXT_NOTHING;
}

/* With a request that was counted here: Node counts all that it reads itself. */
static enum pr_next hand_over_with(struct pr_connection *connection, const struct pr_head *head, enum pr_handed why) {
    if (pr_is_counted(head)) pr_client_unask(connection);
    return pr_responder_hand_over(connection, why);
}

/*
 * Where it is the last, Node has to see what else the client does while it answers, for it may go on for long: then the
 * connection is its own.
 */
enum pr_next pr_responder_feed(struct pr_connection *connection, const struct pr_head *head, enum pr_fed why) {
    bool is_last = connection->responder->ended || !head->keeps_connection;
    if (is_last) return hand_over_with(connection, head, PR_HANDED_END);
    if (head->upgrades) return hand_over_with(connection, head, PR_HANDED_GRAMMAR);
    /* Before Node can resume it. */
    if (pr_poller_listen(connection, EPOLLRDHUP) < 0) return hand_over_with(connection, head, PR_HANDED_CLOSING);
    if (!pr_window_keep(connection)) return PR_NEXT_NOTHING;
    pr_connection_lock(connection);
    connection->fed = head->length;
    pr_part_of(connection)->counters.fed[why]++;
    pr_responder_ended(connection, PR_RETURN_FED);
    pr_connection_unlock(connection);
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
