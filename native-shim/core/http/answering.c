#include "http/answering.h"

#include <errno.h>

#include "base/sys.h"
#include "http/accesslog.h"
#include "http/deadlines.h"
#include "http/handover.h"
#include "http/layer.h"
#include "http/opening.h"
#include "http/proxy.h"
#include "http/sending.h"
#include "wire/client.h"
#include "wire/done.h"
#include "wire/proxied.h"

static enum pr_fed why_not(int error) {
    switch (error) {
    case -ESTALE:
    case -EBADF:
    case -ERANGE: return PR_FED_CHANGED;
    case -EAGAIN: return PR_FED_WRITER;
    default: return PR_FED_FAILED;
    }
}

static enum pr_answered kind_of(const struct pr_head *head, const struct pr_answer *answer) {
    switch (answer->status) {
    case PR_STATUS_NOT_MODIFIED: return head->is_head ? PR_ANSWERED_HEAD_NOT_MODIFIED : PR_ANSWERED_NOT_MODIFIED;
    case PR_STATUS_FAILED: return head->is_head ? PR_ANSWERED_HEAD_FAILED : PR_ANSWERED_FAILED;
    case PR_STATUS_UNSATISFIABLE: return PR_ANSWERED_UNSATISFIABLE;
    case PR_STATUS_LIMITED: return head->is_head ? PR_ANSWERED_HEAD_LIMITED : PR_ANSWERED_LIMITED;
    case PR_STATUS_PARTIAL: return PR_ANSWERED_RANGE;
    default: return head->is_head ? PR_ANSWERED_HEAD : PR_ANSWERED_WHOLE;
    }
}

void pr_responder_answered(struct pr_connection *connection, const struct pr_transmission *transmission,
                           enum pr_outcome outcome, int error) {
    struct pr_responder *responder = connection->responder;
    struct pr_counters *counters = &pr_part_of(connection)->counters;
    counters->answers[responder->kind]++;
    if (responder->kind == PR_ANSWERED_WHOLE) counters->whole_by_engine[transmission->engine]++;
    if (responder->kind == PR_ANSWERED_RANGE) counters->ranged_by_engine[transmission->engine]++;
    pr_http_of(connection)->answers++;
    if (connection->relay->http->responding.log) pr_access_log(connection, transmission, outcome, error);
    responder->published = NULL;
    pr_wait_idle(connection);
}

/* What Node may refuse for it; by what it counts, a head is a little shorter. */
static bool is_too_long(const struct pr_relay *relay, const struct pr_head *head) {
    const struct pr_limits *limits = &relay->limits[PR_ELSEWHERE]; /* alike for all places */
    bool head_is = limits->head_bytes > 0 && head->length > limits->head_bytes;
    return head_is || (limits->url_bytes > 0 && head->target.length > limits->url_bytes);
}

/* Under its lane's lock: what a lane may answer to this request, and by what. */
static enum pr_fed find_answer(struct pr_connection *connection, const struct pr_head *head, struct pr_answer *answer) {
    struct pr_relay *relay = connection->relay;
    if (!head->is_plain || !(head->is_get || head->is_head) || is_too_long(relay, head)) return PR_FED_REQUEST;
    if (head->forwards_twice && connection->is_trusted) return PR_FED_REQUEST;
    if (relay->limits[PR_ELSEWHERE].short_of_memory) return PR_FED_FAILED;
    struct pr_published *published = pr_published_find(relay, head->target);
    if (!published) return PR_FED_UNPUBLISHED;
    connection->responder->published = published;
    pr_published_fetch(pr_part_of(connection), published); /* while the host is looked up */
    bool asked_well = head->host.at ? pr_host_is_known(relay, connection->any_host, head->host) : head->is_http_1_0;
    if (relay->http->suspended || !asked_well || !pr_may_read(relay, head->authorization)) return PR_FED_GUARD;
    struct pr_validators *now = &pr_http_of(connection)->validators;
    if (!pr_published_is_current(relay, published, &connection->responder->generation, now)) return PR_FED_CHANGED;
    *answer = pr_answer_judge(&published->is, now, published->size, head);
    return answer->status == 0 ? PR_FED_REQUEST : PR_FED_COUNT;
}

/* Under its lane's lock. */
static enum pr_fed limit(struct pr_connection *connection, const struct pr_head *head, struct pr_answer *answer) {
    pr_part_of(connection)->counters.limited[PR_LIMITED_REQUESTS_PER_SECOND]++;
    connection->responder->published = NULL;
    pr_http_of(connection)->target = head->target;
    *answer = pr_answer_limited(head);
    return PR_FED_COUNT;
}

/* Under any lock: the version has moved since this answer was judged, and that is all. */
static bool has_moved(struct pr_connection *connection, const struct pr_published *published) {
    const struct pr_validators *then = &pr_http_of(connection)->validators;
    const struct pr_generation *generation = pr_published_generation(connection->relay, published);
    if (!generation || generation->cut || !pr_generation_is_in_step(generation)) return false;
    return generation->epoch != then->epoch || generation->version != then->version;
}

/* It is Node's to answer. */
static void leave_to_node(struct pr_connection *connection, enum pr_fed why) {
    struct pr_published *published = connection->responder->published;
    if (published && why == PR_FED_CHANGED) {
        pr_lock(connection->relay);
        if (!has_moved(connection, published)) pr_published_withdraw(connection->relay, published);
        pr_unlock(connection->relay);
    }
    pr_connection_lock(connection);
    connection->responder->published = NULL;
    pr_connection_unlock(connection);
}

/*
 * Under its lane's lock. Before a last answer, so that its bytes can leave with our FIN: mostly its client has read
 * what it was sent before it asked again.
 */
static bool is_to_look(const struct pr_connection *connection, const struct pr_head *head) {
    bool is_last = !head->keeps_connection && !pr_list_empty(&connection->undone);
    return is_last || pr_much_is_undone(connection);
}

/* What its line of the log, and the end of the connection, depend on. */
static void note_request(struct pr_connection *connection, const struct pr_head *head, struct pr_answer answer) {
    struct pr_responder *responder = connection->responder;
    responder->answer = answer;
    responder->kind = kind_of(head, &answer);
    /* As Node does it: to a client of HTTP/1.0 a response without a length ends with its connection, 304 too. */
    bool has_length = answer.status != PR_STATUS_NOT_MODIFIED || !head->is_http_1_0;
    responder->closes = !head->keeps_connection || !has_length;
    responder->begun = pr_lane_of(connection)->now;
    responder->is_head = head->is_head;
    responder->is_http_1_0 = head->is_http_1_0;
    if (!connection->relay->http->responding.combined) return;
    pr_free(responder->asked);
    responder->asked = pr_access_log_asked(head);
}

/* 0, or -errno: nothing of it is out, or -EPIPE. */
static int send_answer(struct pr_connection *connection, const struct pr_head *head) {
    struct pr_responder *responder = connection->responder;
    const struct pr_window *window = &pr_http_of(connection)->window;
    bool is_last = !window->full && window->at + head->length == window->length;
    if (responder->published) {
        int result = pr_published_look(pr_part_of(connection), responder->published, &responder->generation,
                                       pr_lane_of(connection)->now);
        if (result < 0) return result;
    }
    return responder->answer.has_body ? pr_send_body(connection, is_last) : pr_send_head(connection, is_last);
}

/* Who a trusted proxy asks for; without memory it is the proxy. */
static void note_client(struct pr_connection *connection, const struct pr_head *head) {
    union pr_address client = {.six = {.sin6_family = AF_UNSPEC}};
    if (head->forwarded_for.at) client = pr_forwarded_client(connection->relay, head->forwarded_for);
    pr_connection_lock(connection);
    pr_set_asking(connection, &client);
    pr_connection_unlock(connection);
    pr_client_recount(connection);
}

enum pr_next pr_responder_answer(struct pr_connection *connection, const struct pr_head *head) {
    struct pr_responder *responder = connection->responder;
    struct pr_answer answer = {0};
    if (connection->is_trusted) note_client(connection, head);
    /* Node judges how often other methods come. */
    bool may = !pr_is_counted(head) || pr_client_may_ask(connection);
    pr_connection_lock(connection);
    enum pr_fed why = may ? find_answer(connection, head, &answer) : limit(connection, head, &answer);
    bool looks = is_to_look(connection, head);
    pr_wait_for_answer(connection);
    responder->in_head = false;
    pr_connection_unlock(connection);
    if (looks) pr_look(connection, &connection->poller->prober);
    int result = 0;
    if (why == PR_FED_COUNT) {
        note_request(connection, head, answer);
        result = send_answer(connection, head);
    }
    if (result == -ECONNRESET || result == -EPIPE) return pr_responder_leave(connection);
    if (result < 0) why = why_not(result);
    if (why < PR_FED_COUNT) {
        leave_to_node(connection, why);
        return pr_responder_feed(connection, head, why);
    }
    pr_http_of(connection)->window.at += head->length;
    if (answer.has_body) return PR_NEXT_BEGUN;
    pr_connection_lock(connection);
    pr_responder_answered(connection, NULL, PR_OUTCOME_COMPLETE, 0);
    pr_connection_unlock(connection);
    return PR_NEXT_ANSWERED;
}
