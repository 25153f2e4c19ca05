/* What this layer keeps of a relay, and of each lane. */
#ifndef PR_HTTP_LAYER_H
#define PR_HTTP_LAYER_H

#include "base/shared.h"
#include "http/answer.h"
#include "http/known.h"
#include "http/published.h"
#include "http/responder.h"
#include "http/window.h"

struct pr_http_layer {
    struct pr_responding responding; /* its strings and its log are the relay's own */
    struct pr_table published;
    struct pr_known_set known[PR_KNOWN_SETS];
    struct pr_list opened; /* published regions that lanes have opened, and Node does not know of */
    unsigned opened_count;
    uint64_t answers_when_asked; /* of all lanes, when it was last asked whether they are idle */
    bool suspended;              /* they answer nothing now */
    bool hands_over;             /* lanes answer no more */
};

/* Lines of the access log that wait for the end of a round; the longest head, escaped, is one. */
enum { PR_LINES = 128 << 10 };
struct pr_lines {
    char *bytes; /* NULL before the first */
    size_t length;
};

struct pr_lane_http {
    /* Responders: before the first byte of a request, and behind it, by their deadlines; and those that answer. */
    struct pr_list idle, in_head, answering;
    uint64_t answers; /* so far: they are numbered in the log */
    struct pr_window window;
    struct pr_lines lines;
    struct pr_validators validators; /* of the answer that is being begun */
    struct pr_text target;           /* of the request, where the answer is about no region */
    struct pr_head_end head_end;     /* what all heads of its responses have alike */
    char head[PR_LONGEST_ANSWER];    /* of the response that is being begun, and its problem */
};

static inline struct pr_lane_http *pr_http_of(const struct pr_connection *connection) {
    return pr_lane_of(connection)->http;
}

/* Registers with the layers below. */
void pr_http_open(struct pr_relay *relay);
void pr_http_close(struct pr_relay *relay);

#endif
