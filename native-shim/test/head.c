/* The strict parser of request heads: what is one, where it ends, and what in it makes a request Node's. */
#include "test.h"

#include "http/head.h"

/* Reads a copy of just its length, so that ASan sees a look beyond it. */
static enum pr_head_kind read_bytes(const char *bytes, size_t length, struct pr_head *head) {
    char *exact = malloc(length + 1);
    memcpy(exact + 1, bytes, length);
    enum pr_head_kind kind = pr_head_read(exact + 1, length, head);
    free(exact);
    return kind;
}

static enum pr_head_kind kind_of(const char *text) {
    struct pr_head head;
    return read_bytes(text, strlen(text), &head);
}

static void expect_kind(const char *text, enum pr_head_kind expected) {
    enum pr_head_kind kind = kind_of(text);
    if (kind != expected) FAIL("\"%s\" is of kind %d, not %d", text, kind, expected);
}

/* A request with these lines of fields. */
static struct pr_head head_with(const char *lines) {
    static char text[4 * PR_LONGEST_HEAD];
    struct pr_head head;
    snprintf(text, sizeof text, "GET /regions/a HTTP/1.1\r\n%s\r\n", lines);
    if (pr_head_read(text, strlen(text), &head) != PR_HEAD_WHOLE) FAIL("\"%s\" is no head", text);
    CHECK_EQUAL(head.length, strlen(text));
    return head;
}

static void expect_text(struct pr_text text, const char *expected) {
    if (!expected) CHECK(text.at == NULL);
    if (!expected) return;
    if (!text.at || text.length != strlen(expected) || memcmp(text.at, expected, text.length) != 0)
        FAIL("\"%.*s\", not \"%s\"", (int)text.length, text.at ? text.at : "", expected);
}

static void a_head_is_a_request_line_and_fields_and_an_empty_line(void) {
    static const char text[] = "GET /regions/a%20b?version=1 HTTP/1.1\r\n"
                               "Host: example.org:8080\r\n"
                               "user-agent:curl/8.5.0\r\n"
                               "RANGE: \tbytes=0-99 \t\r\n"
                               "If-Range: \"a\"\r\n"
                               "If-None-Match: W/\"b\"\r\n"
                               "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                               "Authorization: Bearer x\r\n"
                               "Referer: http://a/\r\n"
                               "X-Request-Id: 7\r\n"
                               "X-Empty:\r\n"
                               "Accept: */*\r\n"
                               "\r\n";
    struct pr_head head;
    CHECK_EQUAL(pr_head_read(text, sizeof text - 1, &head), PR_HEAD_WHOLE);
    CHECK_EQUAL(head.length, sizeof text - 1);
    CHECK(head.is_get && !head.is_head && !head.is_http_1_0);
    CHECK(head.keeps_connection && head.is_plain && !head.upgrades);
    expect_text(head.target, "/regions/a%20b?version=1");
    expect_text(head.host, "example.org:8080");
    expect_text(head.user_agent, "curl/8.5.0");
    expect_text(head.range, "bytes=0-99");
    expect_text(head.if_range, "\"a\"");
    expect_text(head.if_none_match, "W/\"b\"");
    expect_text(head.if_modified_since, "Sun, 06 Nov 1994 08:49:37 GMT");
    expect_text(head.authorization, "Bearer x");
    expect_text(head.referer, "http://a/");
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        enum pr_head_kind kind = read_bytes(text, cut, &head);
        if (kind != PR_HEAD_PART) FAIL("the first %zu bytes are of kind %d", cut, kind);
    }
}

static void what_is_not_there_has_no_text(void) {
    struct pr_head head = head_with("");
    expect_text(head.host, NULL);
    expect_text(head.authorization, NULL);
    expect_text(head.range, NULL);
    expect_text(head.if_range, NULL);
    expect_text(head.if_none_match, NULL);
    expect_text(head.if_modified_since, NULL);
    expect_text(head.referer, NULL);
    expect_text(head.user_agent, NULL);
    head = head_with("Host:\r\nRange: \t \r\n");
    expect_text(head.host, "");
    expect_text(head.range, "");
}

static void bytes_behind_a_head_are_not_read(void) {
    static const char *const behind[] = {"GET / HTTP/1.1\r\n\r\n", "\0", "\r\n", "garbage", "G"};
    static const char text[] = "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t each = 0; each < sizeof behind / sizeof *behind; each++) {
        char bytes[256];
        struct pr_head head;
        size_t more = each == 1 ? 1 : strlen(behind[each]);
        memcpy(bytes, text, sizeof text - 1);
        memcpy(bytes + sizeof text - 1, behind[each], more);
        CHECK_EQUAL(read_bytes(bytes, sizeof text - 1 + more, &head), PR_HEAD_WHOLE);
        CHECK_EQUAL(head.length, sizeof text - 1);
        CHECK(head.is_head && !head.is_get);
    }
}

static void a_method_is_a_token(void) {
    expect_kind("FROBNICATE /a HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind("get /a HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind("!#$%&'*+-.^_`|~09azAZ /a HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind(" /a HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("G(T /a HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET\t/a HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("\r\nGET /a HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("\x16\x03\x01", PR_HEAD_FOREIGN); /* TLS */
    struct pr_head head;
    static const char *const others[] = {"get", "GETS", "GE", "HEADS", "head", "HEA", "POST", "OPTIONS", "DELETE"};
    for (size_t each = 0; each < sizeof others / sizeof *others; each++) {
        char text[64];
        int length = sprintf(text, "%s /a HTTP/1.1\r\n\r\n", others[each]);
        CHECK_EQUAL(read_bytes(text, (size_t)length, &head), PR_HEAD_WHOLE);
        CHECK(!head.is_get && !head.is_head);
    }
}

static void what_follows_connect_is_a_tunnel(void) {
    expect_kind("CONNECT a:80 HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("connect a:80 HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("CONNECTS a:80 HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
}

static void a_target_is_of_visible_ascii(void) {
    expect_kind("GET * HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind("GET http://a/b?c#d HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind("GET !\"<>\\^`{|}~ HTTP/1.1\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind("GET  /a HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a  HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a b HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /\xc3\xa4 HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /\x7f HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a\tb HTTP/1.1\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a\r\n\r\n", PR_HEAD_FOREIGN); /* HTTP/0.9 */
}

static void a_version_is_1_1_or_1_0(void) {
    static const char *const others[] = {"HTTP/1.2", "HTTP/0.9", "HTTP/2.0",  "HTTP/1.10", "HTTP/1.", "HTTP/11",
                                         "http/1.1", "HTTP/1,1", "HTTP/01.1", "ICE/1.1",   ""};
    for (size_t each = 0; each < sizeof others / sizeof *others; each++) {
        char text[64];
        sprintf(text, "GET /a %s\r\n\r\n", others[each]);
        expect_kind(text, PR_HEAD_FOREIGN);
    }
    struct pr_head head;
    static const char older[] = "GET /a HTTP/1.0\r\n\r\n";
    CHECK_EQUAL(pr_head_read(older, sizeof older - 1, &head), PR_HEAD_WHOLE);
    CHECK(head.is_http_1_0 && !head.keeps_connection && head.is_plain);
    static const char kept[] = "GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    CHECK_EQUAL(pr_head_read(kept, sizeof kept - 1, &head), PR_HEAD_WHOLE);
    CHECK(head.is_http_1_0 && head.keeps_connection && head.is_plain);
}

static void a_line_ends_with_crlf(void) {
    expect_kind("GET /a HTTP/1.1\n\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\n\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\nHost: a\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\nHost: a\n\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\nHost: a\r\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\nHost: a\rb\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1 \r\n\r\n", PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\n\rX", PR_HEAD_FOREIGN);
}

static void a_field_is_a_token_and_a_colon_and_a_value_on_one_line(void) {
    static const char *const wrong[] = {
        "Host : a\r\n",       ": a\r\n",          " Host: a\r\n",    "\tHost: a\r\n",  "Host\r\n",
        "Ho st: a\r\n",       "H(st: a\r\n",      "Host: a\x01\r\n", "Host: \x7f\r\n", "A: b\r\n folded\r\n",
        "A: b\r\n\tc: d\r\n", "H\xc3\xa4: a\r\n", "Host\t: a\r\n"};
    for (size_t each = 0; each < sizeof wrong / sizeof *wrong; each++) {
        char text[128];
        sprintf(text, "GET /a HTTP/1.1\r\n%s\r\n", wrong[each]);
        expect_kind(text, PR_HEAD_FOREIGN);
    }
    static const char nul[] = "GET /a HTTP/1.1\r\nA: b\0c\r\n\r\n";
    struct pr_head head;
    CHECK_EQUAL(read_bytes(nul, sizeof nul - 1, &head), PR_HEAD_FOREIGN);
    expect_kind("GET /a HTTP/1.1\r\nA: \xc3\xa4\tb c\r\n\r\n", PR_HEAD_WHOLE);
    expect_kind("GET /a HTTP/1.1\r\nA:b:c\r\n\r\n", PR_HEAD_WHOLE);
}

/* Each byte of a head, replaced by each other byte: no reading past it, and no head that ends elsewhere. */
static void a_byte_that_is_another_leaves_the_head_as_long_or_makes_it_none(void) {
    static const char text[] = "GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char bytes[sizeof text];
            struct pr_head head;
            memcpy(bytes, text, sizeof text);
            bytes[at] = (char)byte;
            enum pr_head_kind kind = read_bytes(bytes, sizeof text - 1, &head);
            if (kind == PR_HEAD_PART) FAIL("byte %#x at %zu: more is waited for", (unsigned)byte, at);
            if (kind == PR_HEAD_WHOLE) CHECK_EQUAL(head.length, sizeof text - 1);
        }
}

/* Fields that say what follows, or that it is no HTTP/1.1: where the request ends, only Node can tell. */
static void what_frames_a_request_is_nodes(void) {
    static const char *const names[] = {"Content-Length: 0",  "content-length: 5", "Transfer-Encoding: chunked",
                                        "TRANSFER-ENCODING:", "Trailer: a",        "Expect: 100-continue",
                                        "Upgrade: websocket", "Upgrade: h2c, a",   "Upgrade:"};
    for (size_t each = 0; each < sizeof names / sizeof *names; each++) {
        char text[256];
        sprintf(text, "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", names[each]);
        expect_kind(text, PR_HEAD_FOREIGN);
        sprintf(text, "GET /a HTTP/1.1\r\n%s\r\nHo", names[each]); /* nobody waits for the rest */
        expect_kind(text, PR_HEAD_FOREIGN);
        sprintf(text, "GET /a HTTP/1.1\r\nX-%s\r\n\r\n", names[each]);
        expect_kind(text, PR_HEAD_WHOLE);
    }
}

static void an_upgrade_to_h2c_is_told_and_left_out(void) {
    struct pr_head head =
        head_with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n");
    CHECK(head.upgrades && head.is_plain && head.keeps_connection);
    CHECK(head_with("upgrade:  H2C \r\n").upgrades);
}

static void what_may_change_an_answer_is_not_plain(void) {
    static const char *const lines[] = {"ACCEPT-VERSION: 1\r\n", "Content-Type: a\r\n",
                                        "Want-Repr-Digest: sha-256=1\r\n", "Want-Content-Digest: a\r\n",
                                        "Proxy-Connection: close\r\n"};
    for (size_t each = 0; each < sizeof lines / sizeof *lines; each++) {
        if (head_with(lines[each]).is_plain) FAIL("%s is plain", lines[each]);
        char beside[64];
        sprintf(beside, "X-%s", lines[each]);
        CHECK(head_with(beside).is_plain);
    }
}

static void what_is_told_is_told_once(void) {
    static const char *const names[] = {"Authorization", "Host",     "If-Modified-Since",  "If-None-Match", "If-Range",
                                        "Range",         "Referer",  "User-Agent",         "Connection",    "Upgrade",
                                        "Origin",        "If-Match", "If-Unmodified-Since"};
    for (size_t each = 0; each < sizeof names / sizeof *names; each++) {
        char lines[128];
        const char *value = each == 8 ? "close" : "h2c";
        sprintf(lines, "%s: %s\r\n", names[each], value);
        CHECK(head_with(lines).is_plain);
        sprintf(lines, "%s: %s\r\nAccept: a\r\n%s: %s\r\n", names[each], value, names[each], value);
        CHECK(!head_with(lines).is_plain);
    }
    CHECK(head_with("Accept: a\r\nAccept: b\r\nCookie: a\r\nCookie: b\r\n").is_plain);
}

static void options_of_connection(void) {
    static const struct {
        const char *value;
        bool keeps, plain;
    } cases[] = {
        {"", true, true},
        {"close", false, true},
        {"Close", false, true},
        {"keep-alive", true, true},
        {"Keep-Alive, close", false, true},
        {"close, keep-alive", false, true},
        {"TE", true, true},
        {"te, close", false, true},
        {",, ,", true, false},
        {"keep-alive,", true, true},
        {"closed", true, false},
        {"clos", true, false},
        {"close keep-alive", true, false},
        {"x-private", true, false},
        {"range", true, false},
        {"close;q=1", true, false},
    };
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        char line[128];
        sprintf(line, "Connection: %s\r\n", cases[each].value);
        struct pr_head head = head_with(line);
        if (head.keeps_connection != cases[each].keeps || head.is_plain != cases[each].plain)
            FAIL("\"%s\": keeps %d, plain %d", cases[each].value, head.keeps_connection, head.is_plain);
    }
}

static void more_than_a_hundred_fields_are_nodes(void) {
    static char lines[2000];
    for (unsigned count = 0; count < 101; count++) {
        CHECK_EQUAL(head_with(lines).is_plain, count <= 100);
        strcat(lines, "A: b\r\n");
    }
    CHECK(!head_with(lines).is_plain);
}

static void a_head_has_at_most_16_kib(void) {
    static char text[PR_LONGEST_HEAD + 100];
    struct pr_head head;
    static const char begin[] = "GET /a HTTP/1.1\r\nA: ", end[] = "\r\n\r\n";
    for (size_t length = PR_LONGEST_HEAD - 3; length <= PR_LONGEST_HEAD + 3; length++) {
        memset(text, 'a', length);
        memcpy(text, begin, sizeof begin - 1);
        memcpy(text + length - (sizeof end - 1), end, sizeof end - 1);
        CHECK_EQUAL(read_bytes(text, length, &head), length <= PR_LONGEST_HEAD ? PR_HEAD_WHOLE : PR_HEAD_FOREIGN);
        CHECK_EQUAL(read_bytes(text, length - 1, &head), length <= PR_LONGEST_HEAD ? PR_HEAD_PART : PR_HEAD_FOREIGN);
    }
    static const char *const endless[] = {"", "GET ", "GET /a HTTP/1.1\r\nA", "GET /a HTTP/1.1\r\nA:"};
    for (size_t each = 0; each < sizeof endless / sizeof *endless; each++) {
        memset(text, 'a', sizeof text);
        memcpy(text, endless[each], strlen(endless[each]));
        CHECK_EQUAL(read_bytes(text, PR_LONGEST_HEAD - 1, &head), PR_HEAD_PART);
        CHECK_EQUAL(read_bytes(text, PR_LONGEST_HEAD, &head), PR_HEAD_FOREIGN);
    }
}

static void texts_are_compared_whole(void) {
    struct pr_text text = {.at = "AbC-d", .length = 5};
    CHECK(pr_text_is(text, "abc-d"));
    CHECK(!pr_text_is(text, "abc-") && !pr_text_is(text, "abc-de") && !pr_text_is(text, "abcmd"));
    CHECK(pr_text_equal(text, (struct pr_text){.at = "AbC-d", .length = 5}));
    CHECK(!pr_text_equal(text, (struct pr_text){.at = "AbC-d", .length = 4}));
    CHECK(!pr_text_equal(text, (struct pr_text){.at = "abC-d", .length = 5}));
}

int main(void) {
    RUN(a_head_is_a_request_line_and_fields_and_an_empty_line);
    RUN(what_is_not_there_has_no_text);
    RUN(bytes_behind_a_head_are_not_read);
    RUN(a_method_is_a_token);
    RUN(what_follows_connect_is_a_tunnel);
    RUN(a_target_is_of_visible_ascii);
    RUN(a_version_is_1_1_or_1_0);
    RUN(a_line_ends_with_crlf);
    RUN(a_field_is_a_token_and_a_colon_and_a_value_on_one_line);
    RUN(a_byte_that_is_another_leaves_the_head_as_long_or_makes_it_none);
    RUN(what_frames_a_request_is_nodes);
    RUN(an_upgrade_to_h2c_is_told_and_left_out);
    RUN(what_may_change_an_answer_is_not_plain);
    RUN(what_is_told_is_told_once);
    RUN(options_of_connection);
    RUN(more_than_a_hundred_fields_are_nodes);
    RUN(a_head_has_at_most_16_kib);
    RUN(texts_are_compared_whole);
    return 0;
}
