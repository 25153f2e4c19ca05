/*
 * libFuzzer: the heads of requests. What the parser says of an input, and of beginnings of it, is compared with what a
 * slower reading of the same grammar says, which cuts it into lines first and understands each of them then. What is
 * compared lies in memory of just its length, so that ASan sees a look beyond.
 *
 * An input: how many bytes of padding stand where it has its first 0xff (two bytes, so that heads near the limit are
 * met), and the bytes that have come.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/head.h"

enum { FRONT = 2, MOST = 4096, LIMIT = 16384, MANY = 100, TOLD = 12, ONCE = 11 };

struct input {
    char bytes[MOST + UINT16_MAX];
    size_t length;
};

static void disagree(const char *what, const struct input *input, size_t length) {
    fprintf(stderr, "of %zu bytes: %s\n%.*s\n", length, what, (int)(length < 2000 ? length : 2000), input->bytes);
    abort();
}

static bool read_input(const uint8_t *data, size_t size, struct input *input) {
    if (size < FRONT || size > MOST) return false;
    size_t padding = (size_t)(data[0] | data[1] << 8);
    const uint8_t *text = data + FRONT, *end = data + size, *mark = memchr(text, 0xff, size - FRONT);
    if (!mark) mark = end, padding = 0;
    if (padding > LIMIT + 10) return false;
    size_t before = (size_t)(mark - text), behind = (size_t)(end - mark);
    memcpy(input->bytes, text, before);
    memset(input->bytes + before, 'x', padding);
    memcpy(input->bytes + before + padding, mark, behind);
    input->length = before + padding + behind;
    return true;
}

/* The slower reading. */

/* A piece of the input. */
struct piece {
    const char *from;
    size_t length;
};

struct reading {
    enum pr_head_kind kind;
    size_t length, fields;
    bool get, head, older, keeps, upgrades, plain;
    struct piece target;
    struct piece told[TOLD];
};

static const char *const told_names[TOLD] = {
    "host",     "authorization",       "range",
    "if-range", "if-none-match",       "if-modified-since",
    "referer",  "user-agent",          "origin",
    "if-match", "if-unmodified-since", "x-forwarded-for"}; /* alone may be there twice */

static bool is_one_of(int byte, const char *others) {
    if (byte >= 'a' && byte <= 'z') return true;
    if (byte >= 'A' && byte <= 'Z') return true;
    if (byte >= '0' && byte <= '9') return true;
    return byte != 0 && strchr(others, byte) != NULL;
}

static bool is_tchar(int byte) {
    return is_one_of(byte, "!#$%&'*+-.^_`|~");
}

static bool is_field_byte(int byte) {
    return byte == '\t' || (byte >= 32 && byte != 127);
}

static int byte_at(struct piece piece, size_t at) {
    return (unsigned char)piece.from[at];
}

static bool says(struct piece piece, const char *text) {
    if (piece.length != strlen(text)) return false;
    for (size_t at = 0; at < piece.length; at++) {
        int byte = byte_at(piece, at);
        if (byte >= 'A' && byte <= 'Z') byte += 'a' - 'A';
        if (byte != text[at]) return false;
    }
    return true;
}

static bool says_exactly(struct piece piece, const char *text) {
    return piece.length == strlen(text) && memcmp(piece.from, text, piece.length) == 0;
}

static struct piece part(struct piece piece, size_t from, size_t to) {
    return (struct piece){.from = piece.from + from, .length = to - from};
}

static struct piece stripped(struct piece piece) {
    size_t from = 0, to = piece.length;
    while (from < to && (byte_at(piece, from) == ' ' || byte_at(piece, from) == '\t')) from++;
    while (to > from && (byte_at(piece, to - 1) == ' ' || byte_at(piece, to - 1) == '\t')) to--;
    return part(piece, from, to);
}

/* Where this byte stands first, or the length. */
static size_t find(struct piece piece, int byte) {
    size_t at = 0;
    while (at < piece.length && byte_at(piece, at) != byte) at++;
    return at;
}

static bool all(struct piece piece, bool (*class)(int)) {
    for (size_t at = 0; at < piece.length; at++)
        if (!class(byte_at(piece, at))) return false;
    return true;
}

static bool is_visible(int byte) {
    return byte > 32 && byte < 127;
}

static bool is_beginning_of(struct piece piece, const char *text) {
    return piece.length <= strlen(text) && memcmp(piece.from, text, piece.length) == 0;
}

/*
 * A line without its end, which may be cut off: then what is there has to be the beginning of a right one. A CR that
 * is the last byte of a cut line is the beginning of its end.
 */
static struct piece without_cr(struct piece line) {
    bool has = line.length > 0 && byte_at(line, line.length - 1) == '\r';
    return has ? part(line, 0, line.length - 1) : line;
}

static bool request_line_is_right(struct reading *reading, struct piece line, bool cut) {
    bool ended = !cut || (line.length > 0 && byte_at(line, line.length - 1) == '\r');
    if (ended) line = without_cr(line);
    size_t first = find(line, ' ');
    struct piece method = part(line, 0, first);
    if (!all(method, is_tchar)) return false;
    if (first == line.length) return !ended;
    if (method.length == 0 || says(method, "connect")) return false;
    struct piece rest = part(line, first + 1, line.length);
    size_t second = find(rest, ' ');
    reading->target = part(rest, 0, second);
    if (!all(reading->target, is_visible)) return false;
    if (second == rest.length) return !ended;
    if (reading->target.length == 0) return false;
    struct piece version = part(rest, second + 1, rest.length);
    reading->get = says_exactly(method, "GET");
    reading->head = says_exactly(method, "HEAD");
    reading->older = says_exactly(version, "HTTP/1.0");
    reading->keeps = says_exactly(version, "HTTP/1.1");
    if (ended) return reading->older || reading->keeps;
    return is_beginning_of(version, "HTTP/1.0") || is_beginning_of(version, "HTTP/1.1");
}

static void read_options(struct reading *reading, struct piece value) {
    static const char *const harmless[] = {"close", "keep-alive", "te", "upgrade", "http2-settings"};
    bool closes = false;
    for (size_t from = 0; from < value.length;) {
        struct piece rest = part(value, from, value.length);
        size_t comma = find(rest, ',');
        struct piece option = stripped(part(rest, 0, comma));
        bool known = false;
        for (size_t each = 0; each < sizeof harmless / sizeof *harmless; each++)
            if (says(option, harmless[each])) known = true;
        if (!known) reading->plain = false;
        if (says(option, "close")) closes = true;
        if (says(option, "keep-alive")) reading->keeps = true;
        from += comma + 1;
    }
    if (closes) reading->keeps = false;
}

static bool is_named(struct piece name, const char *const *names, size_t count) {
    for (size_t each = 0; each < count; each++)
        if (says(name, names[each])) return true;
    return false;
}

#define IS_NAMED(name, names) is_named(name, names, sizeof(names) / sizeof *(names))

static const char *const framing[] = {"content-length", "transfer-encoding", "trailer", "expect"};
static const char *const unclear[] = {"content-type", "want-repr-digest", "want-content-digest", "proxy-connection",
                                      "accept-version"};

/* False for one that makes the request another kind. */
static bool field_is_harmless(struct reading *reading, struct piece name, struct piece value) {
    if (IS_NAMED(name, framing)) return false;
    if (says(name, "upgrade")) {
        if (!says(value, "h2c")) return false;
        reading->upgrades = true;
    }
    if (IS_NAMED(name, unclear)) reading->plain = false;
    if (says(name, "connection")) read_options(reading, value);
    for (size_t each = 0; each < TOLD; each++)
        if (says(name, told_names[each])) reading->told[each] = value;
    return true;
}

static bool field_line_is_right(struct reading *reading, struct piece line, bool cut) {
    bool ended = !cut || (line.length > 0 && byte_at(line, line.length - 1) == '\r');
    if (ended) line = without_cr(line);
    size_t colon = find(line, ':');
    struct piece name = part(line, 0, colon);
    if (!all(name, is_tchar)) return false;
    if (colon == line.length) return !ended;
    struct piece value = part(line, colon + 1, line.length);
    if (name.length == 0 || !all(value, is_field_byte)) return false;
    if (cut) return true;
    if (++reading->fields > MANY) reading->plain = false;
    return field_is_harmless(reading, name, stripped(value));
}

/* Whether a field that is looked at is there twice; looked for in the lines themselves. */
static bool has_twice(const char *bytes, size_t length, const char *name) {
    unsigned count = 0;
    for (size_t at = 0; at < length;) {
        struct piece rest = {.from = bytes + at, .length = length - at};
        size_t end = find(rest, '\n');
        struct piece line = part(rest, 0, end);
        size_t colon = find(line, ':');
        if (at > 0 && colon < line.length && says(part(line, 0, colon), name)) count++;
        at += end + 1;
    }
    return count > 1;
}

static bool any_is_there_twice(const char *bytes, size_t length) {
    for (size_t each = 0; each < ONCE; each++)
        if (has_twice(bytes, length, told_names[each])) return true;
    return has_twice(bytes, length, "connection") || has_twice(bytes, length, "upgrade");
}

static struct reading read_slowly(const char *bytes, size_t all_bytes) {
    struct reading reading = {.plain = true};
    size_t length = all_bytes < LIMIT ? all_bytes : LIMIT, at = 0;
    bool first = true;
    for (;; first = false) {
        struct piece rest = {.from = bytes + at, .length = length - at};
        size_t end = find(rest, '\n');
        bool cut = end == rest.length;
        struct piece line = part(rest, 0, end);
        bool right = cut || (end > 0 && byte_at(line, end - 1) == '\r');
        bool is_empty = !first && (cut ? is_beginning_of(line, "\r") : says_exactly(line, "\r"));
        if (right && !is_empty)
            right = first ? request_line_is_right(&reading, line, cut) : field_line_is_right(&reading, line, cut);
        at += end + 1;
        reading.length = at;
        reading.kind = !right ? PR_HEAD_FOREIGN : cut ? PR_HEAD_PART : PR_HEAD_WHOLE;
        if (!right || cut || is_empty) break;
    }
    if (reading.kind == PR_HEAD_PART && all_bytes >= LIMIT) reading.kind = PR_HEAD_FOREIGN;
    if (reading.kind == PR_HEAD_WHOLE && any_is_there_twice(bytes, reading.length)) reading.plain = false;
    return reading;
}

/* The comparison. */

static bool is_same(struct pr_text text, struct piece piece) {
    if (!text.at || !piece.from) return !text.at && !piece.from;
    return text.length == piece.length && memcmp(text.at, piece.from, text.length) == 0;
}

static void compare_values(const struct input *input, const struct pr_head *head, const struct reading *reading,
                           size_t length) {
    if (head->length != reading->length) disagree("another length", input, length);
    if (head->is_get != reading->get || head->is_head != reading->head) disagree("another method", input, length);
    if (head->is_http_1_0 != reading->older) disagree("another version", input, length);
    if (head->upgrades != reading->upgrades) disagree("another upgrade", input, length);
    if (head->is_plain != reading->plain) disagree("plain to one of them", input, length);
    if (head->is_plain && head->keeps_connection != reading->keeps) disagree("kept by one of them", input, length);
    if (!is_same(head->target, reading->target)) disagree("another target", input, length);
    if (!head->is_plain) return; /* Node reads the rest */
    if (head->forwards_twice != has_twice(input->bytes, reading->length, told_names[ONCE]))
        disagree("forwarded twice to one of them", input, length);
    const struct pr_text told[TOLD] = {head->host,     head->authorization,       head->range,
                                       head->if_range, head->if_none_match,       head->if_modified_since,
                                       head->referer,  head->user_agent,          head->origin,
                                       head->if_match, head->if_unmodified_since, head->forwarded_for};
    for (size_t each = 0; each < TOLD; each++)
        if (!is_same(told[each], reading->told[each])) disagree(told_names[each], input, length);
}

static enum pr_head_kind compare(const struct input *input, size_t length) {
    char *exact = malloc(length + 1);
    struct pr_head head;
    if (!exact) abort();
    memcpy(exact + 1, input->bytes, length);
    enum pr_head_kind kind = pr_head_read(exact + 1, length, &head);
    struct reading reading = read_slowly(input->bytes, length);
    if (kind != reading.kind) disagree("another kind", input, length);
    if (kind == PR_HEAD_WHOLE) compare_values(input, &head, &reading, length);
    free(exact);
    return kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct input input;
    if (!read_input(data, size, &input)) return -1;
    enum pr_head_kind before = PR_HEAD_PART;
    /* Of long ones, only what is near the ends. */
    for (size_t length = 0; length <= input.length; length++) {
        if (length > 300 && length + 4 < input.length && (length < LIMIT - 2 || length > LIMIT + 2)) continue;
        enum pr_head_kind kind = compare(&input, length);
        if (before != PR_HEAD_PART && kind != before) disagree("more bytes change what it is", &input, length);
        before = kind;
    }
    return 0;
}
