#include "http/head.h"

#include <string.h>

/* More fields than any client sends; of some number on, Node drops them. */
enum { MOST_FIELDS = 100 };

/* RFC 9110 5.6.2 */
static const bool is_token[256] = {
    ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true,         ['&'] = true,         ['\''] = true,
    ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,         ['^'] = true,         ['_'] = true,
    ['`'] = true, ['|'] = true, ['~'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

/* RFC 9110 5.5: what a field's value is made of. */
static const bool is_value[256] = {['\t'] = true, [' ' ... '~'] = true, [0x80 ... 0xff] = true};

/* What is still to be read. */
struct rest {
    const char *at, *end;
};

static char lower(char character) {
    return character >= 'A' && character <= 'Z' ? (char)(character | 0x20) : character;
}

bool pr_text_is(struct pr_text text, const char *name) {
    size_t length = strlen(name);
    if (text.length != length) return false;
    for (size_t at = 0; at < length; at++)
        if (lower(text.at[at]) != name[at]) return false;
    return true;
}

bool pr_text_equal(struct pr_text one, struct pr_text other) {
    return one.length == other.length && (one.length == 0 || memcmp(one.at, other.at, one.length) == 0);
}

/* The bytes that follow and are of a class. */
static struct pr_text take(struct rest *rest, const bool class[256]) {
    struct pr_text taken = {.at = rest->at};
    while (rest->at < rest->end && class[(unsigned char)*rest->at]) rest->at++;
    taken.length = (size_t)(rest->at - taken.at);
    return taken;
}

/* Exactly these bytes, as far as they are there. */
static enum pr_head_kind expect(struct rest *rest, const char *text) {
    for (; *text; text++, rest->at++) {
        if (rest->at == rest->end) return PR_HEAD_PART;
        if (*rest->at != *text) return PR_HEAD_FOREIGN;
    }
    return PR_HEAD_WHOLE;
}

/* RFC 9112 3. A target that is no URI, such as one with bytes beyond ASCII, is Node's to judge. */
static enum pr_head_kind read_request_line(struct rest *rest, struct pr_head *head) {
    static const bool is_target[256] = {['!' ... '~'] = true};
    struct pr_text method = take(rest, is_token);
    if (rest->at == rest->end) return PR_HEAD_PART;
    if (method.length == 0 || *rest->at++ != ' ') return PR_HEAD_FOREIGN;
    head->is_get = method.length == 3 && memcmp(method.at, "GET", 3) == 0;
    head->is_head = method.length == 4 && memcmp(method.at, "HEAD", 4) == 0;
    if (pr_text_is(method, "connect")) return PR_HEAD_FOREIGN; /* what follows it is a tunnel */
    head->target = take(rest, is_target);
    if (rest->at == rest->end) return PR_HEAD_PART;
    if (head->target.length == 0) return PR_HEAD_FOREIGN;
    enum pr_head_kind kind = expect(rest, " HTTP/1.");
    if (kind != PR_HEAD_WHOLE) return kind;
    if (rest->at == rest->end) return PR_HEAD_PART;
    char minor = *rest->at++;
    if (minor != '0' && minor != '1') return PR_HEAD_FOREIGN;
    head->is_http_1_0 = minor == '0';
    head->keeps_connection = minor == '1';
    return expect(rest, "\r\n");
}

static struct pr_text trimmed(struct pr_text text) {
    while (text.length > 0 && (*text.at == ' ' || *text.at == '\t')) text.at++, text.length--;
    while (text.length > 0 && (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t')) text.length--;
    return text;
}

/* One option of Connection (RFC 9110 7.6.1). What a lane does not know can name a field that matters. */
static void read_connection_option(struct pr_head *head, struct pr_text option, bool *closes) {
    if (pr_text_is(option, "close"))
        *closes = true;
    else if (pr_text_is(option, "keep-alive"))
        head->keeps_connection = true;
    else if (!pr_text_is(option, "te") && !pr_text_is(option, "upgrade") && !pr_text_is(option, "http2-settings"))
        head->is_plain = false;
}

static void read_connection(struct pr_head *head, struct pr_text value) {
    bool closes = false;
    while (value.length > 0) {
        const char *comma = memchr(value.at, ',', value.length);
        size_t length = comma ? (size_t)(comma - value.at) : value.length;
        struct pr_text option = trimmed((struct pr_text){.at = value.at, .length = length});
        read_connection_option(head, option, &closes);
        length += comma ? 1 : 0;
        value.at += length;
        value.length -= length;
    }
    if (closes) head->keeps_connection = false;
}

/* What a field does to the request that it is in. */
enum effect {
    TOLD,       /* its value is told, and it may be there once */
    FORWARDED,  /* its value is told; it may be there several times */
    CONNECTION, /* what becomes of the connection; once */
    UPGRADE,    /* once, and for h2c alone, which nobody here speaks */
    UNCLEAR,    /* it can change the answer in a way that Node knows */
    FRAMES,     /* a body follows, or what does is not HTTP/1.1 any more */
};

#define PLACE(member) offsetof(struct pr_head, member)

static const struct known {
    const char *name;
    enum effect effect;
    size_t place;
} fields[] = {
    {"accept-version", UNCLEAR, 0}, /* by which an application can tell routes apart */
    {"authorization", TOLD, PLACE(authorization)},
    {"connection", CONNECTION, 0},
    {"content-length", FRAMES, 0},
    {"content-type", UNCLEAR, 0},
    {"expect", FRAMES, 0},
    {"host", TOLD, PLACE(host)},
    {"if-match", TOLD, PLACE(if_match)},
    {"if-modified-since", TOLD, PLACE(if_modified_since)},
    {"if-none-match", TOLD, PLACE(if_none_match)},
    {"if-range", TOLD, PLACE(if_range)},
    {"if-unmodified-since", TOLD, PLACE(if_unmodified_since)},
    {"origin", TOLD, PLACE(origin)},
    {"proxy-connection", UNCLEAR, 0}, /* to Node another name of Connection */
    {"range", TOLD, PLACE(range)},
    {"referer", TOLD, PLACE(referer)},
    {"trailer", FRAMES, 0},
    {"transfer-encoding", FRAMES, 0},
    {"upgrade", UPGRADE, 0},
    {"user-agent", TOLD, PLACE(user_agent)},
    {"want-content-digest", UNCLEAR, 0},
    {"want-repr-digest", UNCLEAR, 0},
    {"x-forwarded-for", FORWARDED, 0},
};
enum { KNOWN = sizeof fields / sizeof *fields };
_Static_assert(KNOWN <= 32, "which were seen fits in 32 bits");

static const struct known *find_known(struct pr_text name) {
    /* Most fields that clients send are none of these, and told apart by their first letter. */
    if (!memchr("acehioprtuwx", lower(name.at[0]), 12)) return NULL;
    for (size_t place = 0; place < KNOWN; place++)
        if (pr_text_is(name, fields[place].name)) return &fields[place];
    return NULL;
}

static enum pr_head_kind apply_field(struct pr_head *head, const struct known *known, struct pr_text value) {
    switch (known->effect) {
    case TOLD: *(struct pr_text *)(void *)((char *)head + known->place) = value; break;
    case FORWARDED: head->forwarded_for = value; break;
    case CONNECTION: read_connection(head, value); break;
    case UPGRADE:
        if (!pr_text_is(value, "h2c")) return PR_HEAD_FOREIGN;
        head->upgrades = true;
        break;
    case UNCLEAR: head->is_plain = false; break;
    case FRAMES: return PR_HEAD_FOREIGN;
    }
    return PR_HEAD_WHOLE;
}

/* RFC 9112 5: no blank before the colon, no line folded, no end of line but CRLF. */
static enum pr_head_kind read_field(struct rest *rest, struct pr_head *head, unsigned *seen) {
    struct pr_text name = take(rest, is_token);
    if (rest->at == rest->end) return PR_HEAD_PART;
    if (name.length == 0 || *rest->at++ != ':') return PR_HEAD_FOREIGN;
    struct pr_text value = trimmed(take(rest, is_value));
    if (rest->at == rest->end) return PR_HEAD_PART;
    enum pr_head_kind kind = expect(rest, "\r\n");
    const struct known *known = kind == PR_HEAD_WHOLE ? find_known(name) : NULL;
    if (!known) return kind;
    unsigned bit = 1u << (known - fields);
    bool again = (*seen & bit) != 0, may_be_again = known->effect == FORWARDED;
    if (again && may_be_again) head->forwards_twice = true;
    if (again && !may_be_again) head->is_plain = false;
    *seen |= bit;
    return apply_field(head, known, value);
}

enum pr_head_kind pr_head_read(const char *bytes, size_t length, struct pr_head *head) {
    struct rest rest = {.at = bytes, .end = bytes + (length < PR_LONGEST_HEAD ? length : PR_LONGEST_HEAD)};
    *head = (struct pr_head){.is_plain = true};
    unsigned seen = 0, count = 0;
    enum pr_head_kind kind = read_request_line(&rest, head);
    while (kind == PR_HEAD_WHOLE && rest.at < rest.end && *rest.at != '\r') {
        kind = read_field(&rest, head, &seen);
        if (++count > MOST_FIELDS) head->is_plain = false;
    }
    if (kind == PR_HEAD_WHOLE) kind = expect(&rest, "\r\n");
    if (kind == PR_HEAD_PART && length >= PR_LONGEST_HEAD) return PR_HEAD_FOREIGN;
    head->length = (size_t)(rest.at - bytes);
    return kind;
}
