#include "http/layer.h"

#include "base/siphash.h"
#include "base/sys.h"
#include "http/accesslog.h"
#include "http/answering.h"
#include "http/crowd.h"
#include "http/deadlines.h"
#include "http/handover.h"
#include "lanes/layer.h"
#include "wire/layer.h"

static const struct pr_answering answering = {
    .answered = pr_responder_answered,
    .finish = pr_responder_finish,
    .ended = pr_responder_ended,
};

static const struct pr_serving serving = {
    .open = pr_responder_open,
    .close = pr_responder_close,
    .expire = pr_responder_expire,
    .let_in = pr_responder_let_in,
    .make_room = pr_responder_make_room,
    .refuse = pr_responder_refuse,
    .peer_ended = pr_responder_peer_ended,
    .begin_turn = pr_window_clear,
    .next = pr_responder_next,
    .end_turn = pr_window_keep,
    .end_round = pr_access_log_pass_on,
};

void pr_http_open(struct pr_relay *relay) {
    struct pr_http_layer *http = relay->http;
    relay->wire->answering = &answering;
    relay->lanes->serving = &serving;
    pr_published_open(relay);
    pr_known_open(relay);
    http->suspended = true;
    pr_siphash_key(http->published.key);
}

void pr_http_close(struct pr_relay *relay) {
    for (unsigned index = 0; index < relay->lanes->count; index++)
        if (relay->lanes->list[index].http) pr_access_log_pass_on(&relay->lanes->list[index]);
    pr_published_close(relay);
    pr_known_close(relay);
    pr_responding_free(&relay->http->responding);
}
