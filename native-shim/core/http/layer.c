#include "http/layer.h"

#include <errno.h>

#include "base/sys.h"
#include "http/express.h"
#include "lanes/layer.h"
#include "wire/layer.h"

static const struct pr_answering answering = {
    .answered = pr_express_answered,
    .finish = pr_express_finish,
    .ended = pr_express_end,
};

static const struct pr_serving serving = {
    .open = pr_express_open,
    .close = pr_express_close,
    .begin_round = pr_express_begin_round,
    .expire = pr_express_expire,
    .let_in = pr_express_let_in,
    .peer_ended = pr_express_peer_ended,
    .begin_turn = pr_window_clear,
    .next = pr_express_next,
    .end_turn = pr_window_keep,
};

int pr_http_open(struct pr_relay *relay, unsigned log_answers) {
    struct pr_http_layer *http = relay->http;
    relay->wire->answering = &answering;
    relay->lanes->serving = &serving;
    pr_list_init(&http->patterns);
    pr_events_promise(relay, 1); /* ANSWERS */
    if (log_answers == 0) return 0;
    http->answers.list = pr_allocate(log_answers, sizeof *http->answers.list);
    http->answers.capacity = log_answers;
    return http->answers.list ? 0 : -ENOMEM;
}

void pr_http_close(struct pr_relay *relay) {
    pr_free(relay->http->answers.list);
}
