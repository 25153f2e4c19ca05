#include "http/deadlines.h"

#include "base/clock.h"
#include "http/handover.h"
#include "http/layer.h"

static void put_in(struct pr_responder *responder, struct pr_list *list) {
    pr_list_remove(&responder->waiting);
    pr_list_append(list, &responder->waiting);
}

/* Each list is in the order of deadlines, for all in it wait as long. */
static void wait_in(struct pr_responder *responder, struct pr_list *list, unsigned seconds) {
    responder->until = pr_now() + (uint64_t)seconds * 1000000000u;
    put_in(responder, list);
}

void pr_wait_idle(struct pr_connection *connection) {
    wait_in(connection->responder, &pr_http_of(connection)->idle, connection->relay->http->responding.keep_alive);
}

void pr_wait_in_head(struct pr_connection *connection) {
    wait_in(connection->responder, &pr_http_of(connection)->in_head, connection->relay->http->responding.head);
}

void pr_wait_for_answer(struct pr_connection *connection) {
    put_in(connection->responder, &pr_http_of(connection)->answering);
}

/* One whose time is over, pinned. What has become ready meanwhile is looked at in its turn. */
static struct pr_connection *take_expired(struct pr_lane *lane, struct pr_list *list) {
    struct pr_connection *taken = NULL;
    pr_lock_part(lane->poller.part);
    if (!pr_list_empty(list)) {
        struct pr_responder *first = pr_container(list->next, struct pr_responder, waiting);
        if (first->until <= lane->now) {
            pr_list_remove(&first->waiting);
            taken = first->connection;
            pr_pin(taken);
        }
    }
    pr_unlock_part(lane->poller.part);
    return taken;
}

static void go_on(struct pr_connection *connection) {
    if (!pr_window_keep(connection)) return;
    pr_connection_lock(connection);
    pr_wait_idle(connection);
    pr_poller_ready(connection);
    pr_connection_unlock(connection);
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
            pr_responder_leave(connection);
        pr_connection_unpin(connection);
    }
    while ((connection = take_expired(lane, &lane->http->in_head))) {
        pr_window_clear(lane);
        pr_responder_hand_over(connection, PR_HANDED_LATE);
        pr_connection_unpin(connection);
    }
}
