/* What this layer keeps of a relay, and of each lane. */
#ifndef PR_HTTP_LAYER_H
#define PR_HTTP_LAYER_H

#include "base/shared.h"
#include "http/answers.h"
#include "http/window.h"

struct pr_http_layer {
    struct pr_answers answers;
    struct pr_list patterns; /* the open ones */
    unsigned open_patterns;
    uint64_t last_pattern; /* number */
};

struct pr_lane_http {
    struct pr_list granted; /* in the order in which they end */
    struct pr_window window;
    uint64_t checked; /* a generation whose file was looked at in this round */
    char *head;       /* of the response that is being begun */
};

/* Registers with the layers below. So many answers are kept until they are taken for the log; 0: none is. */
int pr_http_open(struct pr_relay *relay, unsigned log_answers);
void pr_http_close(struct pr_relay *relay);

#endif
