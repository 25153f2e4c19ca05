/*
 * The head of an HTTP/1 request, by the strict reading of its grammar (RFC 9112 2 to 6): what a lane is not certain of
 * is not a request to it, but bytes that Node shall understand.
 */
#ifndef PR_HEAD_H
#define PR_HEAD_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the head that was read; `at` is NULL for what is not there. */
struct pr_text {
    const char *at;
    size_t length;
};

enum pr_head_kind {
    PR_HEAD_WHOLE,   /* a request without a body */
    PR_HEAD_PART,    /* the beginning of one, as far as is known */
    PR_HEAD_FOREIGN, /* a body, another grammar, another protocol: where it ends, only Node can tell */
};

/* The longest head, which is Node's own limit too. */
enum { PR_LONGEST_HEAD = 16 << 10 };

struct pr_head {
    size_t length; /* of the head, with the empty line */
    bool is_get, is_head;
    bool is_http_1_0;
    bool keeps_connection; /* RFC 9112 9.3 */
    bool upgrades;         /* it asks for another protocol, and is answered by this one (RFC 9110 7.8) */
    /* Every field in it is one that can't change the answer of a region, or is told below, once. */
    bool is_plain;
    struct pr_text target, host, authorization, range, if_range, if_match, if_none_match, if_modified_since,
        if_unmodified_since, referer, user_agent, origin, forwarded_for;
    bool forwards_twice; /* forwarded_for is the last of several */
};

/* Reads the head that these bytes begin with. The texts are within `bytes`. */
enum pr_head_kind pr_head_read(const char *bytes, size_t length, struct pr_head *head);

/* Whether a request counts as one of its client in the lane that has read it. */
static inline bool pr_is_counted(const struct pr_head *head) {
    return head->is_get || head->is_head;
}

/* Whether a text is `lower`, in whichever case; `lower` is in lower case. */
bool pr_text_is(struct pr_text text, const char *lower);

/* Whether two texts are alike, byte for byte. */
bool pr_text_equal(struct pr_text one, struct pr_text other);

#endif
