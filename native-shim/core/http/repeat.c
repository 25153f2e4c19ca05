#include "http/repeat.h"

#include <string.h>

static const char unit[] = "bytes=";

/* So many digits are below 2^63. Who writes more is answered by whoever knows what saturates (RFC 9110 14.1.2). */
enum { MOST_DIGITS = 18 };

/* Received bytes, from the front. */
struct rest {
    const char *at, *end;
};

/* Whether what follows is `text`, as far as it is there. */
static enum pr_match take_text(struct rest *rest, const char *text, size_t length) {
    size_t there = (size_t)(rest->end - rest->at), compared = there < length ? there : length;
    if (memcmp(rest->at, text, compared) != 0) return PR_MATCH_NONE;
    rest->at += compared;
    return compared == length ? PR_MATCH : PR_MATCH_SO_FAR;
}

/* The number that follows, of `digits` digits, maybe none. False when there are too many. */
static bool take_number(struct rest *rest, uint64_t *number, unsigned *digits) {
    *number = 0;
    for (*digits = 0; rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9'; rest->at++) {
        if (++*digits > MOST_DIGITS) return false;
        *number = *number * 10 + (uint64_t)(*rest->at - '0');
    }
    return true;
}

static bool ask_suffix(uint64_t size, uint64_t count, struct pr_asked *asked) {
    if (count == 0) return false;
    asked->length = count < size ? count : size;
    asked->offset = size - asked->length;
    return true;
}

static bool ask_from(uint64_t size, uint64_t first, uint64_t last, struct pr_asked *asked) {
    if (first >= size || last < first) return false;
    asked->offset = first;
    asked->length = (last < size ? last : size - 1) - first + 1;
    return true;
}

/* The value: one plain range. What ends early is told apart from what is wrong by the text that has to follow. */
static enum pr_match take_range(struct rest *rest, uint64_t size, struct pr_asked *asked) {
    enum pr_match match = take_text(rest, unit, sizeof unit - 1);
    if (match != PR_MATCH) return match;
    uint64_t first, last;
    unsigned first_digits, last_digits;
    if (!take_number(rest, &first, &first_digits)) return PR_MATCH_NONE;
    if (rest->at == rest->end) return PR_MATCH_SO_FAR;
    if (*rest->at++ != '-' || !take_number(rest, &last, &last_digits)) return PR_MATCH_NONE;
    if (rest->at == rest->end) return PR_MATCH_SO_FAR;
    bool plain;
    if (first_digits == 0)
        plain = last_digits > 0 && ask_suffix(size, last, asked);
    else
        plain = ask_from(size, first, last_digits > 0 ? last : size - 1, asked);
    return plain ? PR_MATCH : PR_MATCH_NONE;
}

enum pr_match pr_repeat_match(const struct pr_repeat *repeat, uint64_t size, const char *bytes, size_t length,
                              struct pr_asked *asked) {
    struct rest rest = {.at = bytes, .end = bytes + length};
    *asked = (struct pr_asked){.length = size};
    enum pr_match match = take_text(&rest, repeat->head, repeat->range_at);
    if (match == PR_MATCH && repeat->range_at < repeat->length) match = take_range(&rest, size, asked);
    if (match == PR_MATCH) match = take_text(&rest, repeat->head + repeat->range_at, repeat->length - repeat->range_at);
    asked->consumed = (size_t)(rest.at - bytes);
    return match;
}
