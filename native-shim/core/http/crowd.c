#include "http/crowd.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "http/layer.h"
#include "lanes/layer.h"

/* Under all locks: the first that nothing is reported of; for what has become ready is looked at in its turn. */
static struct pr_responder *first_quiet(const struct pr_list *list) {
    pr_list_each(node, list) {
        struct pr_responder *responder = pr_container(node, struct pr_responder, waiting);
        if (pr_list_empty(&responder->connection->ready)) return responder;
    }
    return NULL;
}

/* Under all locks: of all lanes, who has been idle longest; where none is, whose head has taken longest. */
static struct pr_responder *longest_waiting(const struct pr_relay *relay) {
    struct pr_responder *idle = NULL, *in_head = NULL;
    for (unsigned index = 0; index < relay->lanes->count; index++) {
        const struct pr_lane_http *http = relay->lanes->list[index].http;
        struct pr_responder *first = first_quiet(&http->idle), *late = first_quiet(&http->in_head);
        if (first && (!idle || first->until < idle->until)) idle = first;
        if (late && (!in_head || late->until < in_head->until)) in_head = late;
    }
    return idle ? idle : in_head;
}

struct pr_poller *pr_responder_make_room(struct pr_relay *relay) {
    struct pr_responder *responder = longest_waiting(relay);
    if (!responder) return NULL;
    pr_list_remove(&responder->waiting);
    if (!responder->connection->makes_room) pr_part_of(responder->connection)->counters.leaving++;
    responder->connection->makes_room = true;
    pr_poller_ready(responder->connection);
    return responder->connection->poller;
}

/* A client that has asked just now is answered, unless its head has been on its way for longer. */
bool pr_makes_room(struct pr_connection *connection) {
    const struct pr_responder *responder = connection->responder;
    if (!connection->makes_room) return false;
    bool closes = responder->unsent || responder->in_head || pr_window_look(connection) != PR_WINDOW_BYTES;
    struct pr_counters *counters = &pr_part_of(connection)->counters;
    pr_connection_lock(connection);
    connection->makes_room = closes;
    if (closes)
        counters->limited[PR_LIMITED_IDLE_CLOSED]++;
    else
        counters->leaving--;
    pr_connection_unlock(connection);
    return closes;
}

void pr_responder_refuse(struct pr_relay *relay, int fd, enum pr_limited why) {
    bool is_one = why == PR_LIMITED_CONNECTIONS_PER_ADDRESS;
    pr_lock(relay);
    const struct pr_responding *responding = &relay->http->responding; /* its texts stay while doors are open */
    struct pr_text refusal = is_one ? responding->refusal_of_one : responding->refusal;
    pr_unlock(relay);
    pr_sys.discard(fd, PR_WINDOW, MSG_DONTWAIT); /* or the close would be a reset, which can overtake the answer */
    if (refusal.length > 0) pr_sys.send(fd, refusal.at, refusal.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}
