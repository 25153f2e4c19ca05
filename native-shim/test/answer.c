/* What a published region answers to a request, and the bytes of the response's head. */
#include "test.h"

#include <time.h>

#include "base/clock.h"
#include "http/answer.h"
#include "http/template.h"
#include "pages/generation.h"

#define TEXT(literal)                                                                                                  \
    { .at = (literal), .length = sizeof(literal) - 1 }

#define LAST_MODIFIED "last-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define LINK          "link: <?version=a-1>; rel=\"bookmark\"\r\n"

static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

static const struct pr_publication region = {
    .path = TEXT("/regions/a"),
    .etag = TEXT("\"a-1\""),
    .last_modified = {.at = date, .length = sizeof date - 1},
    .fields = TEXT("accept-ranges: bytes\r\n"),
    .content_type = TEXT("content-type: application/octet-stream\r\n"),
    .others = TEXT("x-own: 1\r\n"),
    .origin_fields = TEXT("vary: Origin\r\n"),
};

/* What a request with these fields is answered, of a region of 1,000 bytes. */
static struct pr_answer judge_of(const struct pr_publication *publication, uint64_t size, const char *method,
                                 const char *lines) {
    char text[1024];
    struct pr_head head;
    snprintf(text, sizeof text, "%s /regions/a HTTP/1.1\r\nHost: a\r\n%s\r\n", method, lines);
    CHECK_EQUAL(pr_head_read(text, strlen(text), &head), PR_HEAD_WHOLE);
    const struct pr_validators now = {.etag = publication->etag, .last_modified = publication->last_modified};
    return pr_answer_judge(publication, &now, size, &head);
}

static struct pr_answer judge(const char *method, const char *lines) {
    return judge_of(&region, 1000, method, lines);
}

static struct pr_answer judge_range(const char *value, uint64_t size) {
    char line[256];
    snprintf(line, sizeof line, "Range: %s\r\n", value);
    return judge_of(&region, size, "GET", line);
}

static void expect_whole(const struct pr_answer *answer, const char *what) {
    if (answer->status != PR_STATUS_OK || !answer->has_body || answer->offset != 0 || answer->length != 1000)
        FAIL("%s: %u, %llu bytes from %llu", what, answer->status, (unsigned long long)answer->length,
             (unsigned long long)answer->offset);
}

static void expect_status(const struct pr_answer *answer, unsigned status, const char *what) {
    if (answer->status != status) FAIL("%s: %u, not %u", what, answer->status, status);
    if (status != PR_STATUS_OK && status != PR_STATUS_PARTIAL) CHECK(!answer->has_body);
    CHECK_EQUAL(answer->has_problem, status == PR_STATUS_FAILED || status == PR_STATUS_UNSATISFIABLE);
}

static void get_without_a_range_is_answered_whole_and_head_without_a_body(void) {
    struct pr_answer whole = judge("GET", ""), head = judge("HEAD", ""), ranged = judge("HEAD", "Range: bytes=1-2\r\n");
    expect_whole(&whole, "GET");
    expect_status(&head, PR_STATUS_OK, "HEAD");
    CHECK(!head.has_body);
    CHECK_EQUAL(head.length, 1000);
    expect_status(&ranged, PR_STATUS_OK, "HEAD with Range");
    CHECK(!ranged.has_body);
    CHECK_EQUAL(ranged.length, 1000);
}

static void other_methods_and_what_is_not_plain_are_nodes(void) {
    static const char *const methods[] = {"POST", "OPTIONS", "get", "GETS"};
    for (size_t each = 0; each < sizeof methods / sizeof *methods; each++)
        CHECK_EQUAL(judge(methods[each], "").status, 0);
    CHECK_EQUAL(judge("GET", "Want-Repr-Digest: sha-256=1\r\n").status, 0);
    CHECK_EQUAL(judge("GET", "Range: bytes=0-1\r\nRange: bytes=0-1\r\n").status, 0);
}

static void who_names_an_origin_is_nodes_unless_the_answer_is_for_any(void) {
    static const char line[] = "Origin: https://app.example\r\n";
    struct pr_publication for_any = region;
    for_any.any_origin = true;
    CHECK_EQUAL(judge("GET", line).status, 0);
    CHECK_EQUAL(judge_of(&for_any, 1000, "GET", line).status, PR_STATUS_OK);
    CHECK_EQUAL(judge_of(&for_any, 1000, "GET", "Origin: a\r\nOrigin: a\r\n").status, 0);
}

static void one_satisfiable_range_is_answered(void) {
    static const struct {
        const char *value;
        uint64_t size, offset, length;
    } cases[] = {
        {"bytes=0-0", 1000, 0, 1},
        {"bytes=0-0", 1, 0, 1},
        {"bytes=5-4099", 1000, 5, 995},
        {"bytes=999-", 1000, 999, 1},
        {"bytes=0-", 1000, 0, 1000},
        {"bytes=998-999", 1000, 998, 2},
        {"bytes=998-1000", 1000, 998, 2},
        {"bytes=-1", 1000, 999, 1},
        {"bytes=-1000", 1000, 0, 1000},
        {"bytes=-1001", 1000, 0, 1000},
        {"bytes=-999999999999999999", 1000, 0, 1000},
        {"bytes=007-0000008", 1000, 7, 2},
        {"bytes=000000000000000000-0", 1000, 0, 1},
        {"bytes=0-999999999999999999", 1000, 0, 1000},
        {"bytes=999999999999999998-", 999999999999999999, 999999999999999998, 1},
    };
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        struct pr_answer answer = judge_range(cases[each].value, cases[each].size);
        expect_status(&answer, PR_STATUS_PARTIAL, cases[each].value);
        CHECK(answer.has_body);
        CHECK_EQUAL(answer.offset, cases[each].offset);
        CHECK_EQUAL(answer.length, cases[each].length);
    }
}

static void a_range_of_which_the_region_has_no_byte_is_answered_with_a_problem(void) {
    static const char *const values[] = {
        "bytes=1000-", "bytes=1000-1001", "bytes=1000-1000", "bytes=999999999999999999-", "bytes=-0", "bytes=-000"};
    for (size_t each = 0; each < sizeof values / sizeof *values; each++) {
        struct pr_answer answer = judge_range(values[each], 1000);
        expect_status(&answer, PR_STATUS_UNSATISFIABLE, values[each]);
    }
}

static void other_ranges_are_nodes(void) {
    static const char *const values[] = {
        "bytes=5-4",
        "bytes=1001-1000",
        "bytes=0-1,3-4",
        "bytes=0-1,",
        "Bytes=0-1",
        "BYTES=0-1",
        "bytes = 0-1",
        "bytes= 0-1",
        "bytes=0 -1",
        "bytes=0- 1",
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=1",
        "items=0-1",
        "bytes=0--1",
        "bytes=+0-1",
        "bytes=0x0-1",
        "bytes=a-b",
        "bytes=0-1;a",
        "bytes=-1-2",
        "bytes:0-1",
        "byte=0-1",
        "bytes=0.0-1",
        "bytes=0000000000000000001-1",
        "bytes=0-1000000000000000000",
        "bytes=-1000000000000000000",
    };
    for (size_t each = 0; each < sizeof values / sizeof *values; each++) {
        struct pr_answer answer = judge_range(values[each], 1000);
        expect_status(&answer, 0, values[each]);
    }
}

/* Against a reading that is written otherwise: of small regions, every pair of ends. */
static void each_range_of_a_small_region(void) {
    for (unsigned size = 1; size <= 5; size++)
        for (unsigned first = 0; first < 8; first++)
            for (unsigned last = 0; last < 8; last++) {
                char value[64];
                sprintf(value, "bytes=%u-%u", first, last);
                struct pr_answer answer = judge_range(value, size);
                bool right = first <= last && first < size;
                CHECK_EQUAL(answer.status, right ? PR_STATUS_PARTIAL : first <= last ? PR_STATUS_UNSATISFIABLE : 0);
                if (!right) continue;
                CHECK_EQUAL(answer.offset, first);
                CHECK_EQUAL(answer.offset + answer.length - 1, last < size ? last : size - 1);
            }
}

static void if_none_match_by_one_tag(void) {
    static const struct {
        const char *value;
        unsigned status;
    } cases[] = {
        {"\"a-1\"", 304},
        {"W/\"a-1\"", 304},
        {"\"a-2\"", 200},
        {"W/\"a-2\"", 200},
        {"\"\"", 200},
        {"\"a-1", 0},
        {"a-1", 0},
        {"*", 0},
        {"", 0},
        {"\"", 0},
        {"\"a-1\", \"a-2\"", 0},
        {"w/\"a-1\"", 0},
        {"\"a-2\",\"a-1\"", 0},
        {"\"a 1\"", 0},
        {"W/", 0},
        {"\"A-1\"", 200},
        {"W/W/\"a-1\"", 0},
        {"\"a-1\"\t\"a-1\"", 0},
        {"W/\"", 0},
    };
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        char line[128];
        snprintf(line, sizeof line, "If-None-Match: %s\r\n", cases[each].value);
        struct pr_answer got = judge("GET", line), head = judge("HEAD", line);
        expect_status(&got, cases[each].status, line);
        expect_status(&head, cases[each].status, line);
        /* A range counts for nothing before (RFC 9110 13.2.2). */
        strcat(line, "Range: bytes=0-1\r\n");
        struct pr_answer ranged = judge("GET", line);
        expect_status(&ranged, cases[each].status == 200 ? 206 : cases[each].status, line);
    }
}

static void if_match_by_one_tag(void) {
    static const struct {
        const char *value;
        unsigned status;
    } cases[] = {
        {"\"a-1\"", 200},      {"*", 200}, {"\"a-2\"", 412}, {"W/\"a-1\"", 412}, {"\"\"", 412}, {"", 0},
        {"\"a-1\", \"b\"", 0}, {"a-1", 0}, {"**", 0},        {"\"a 1\"", 0},
    };
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        char line[256];
        snprintf(line, sizeof line, "If-Match: %s\r\n", cases[each].value);
        struct pr_answer got = judge("GET", line), head = judge("HEAD", line);
        expect_status(&got, cases[each].status, line);
        CHECK_EQUAL(head.status, cases[each].status);
        CHECK(!head.has_problem);
        /* What else is asked counts for nothing where it fails (RFC 9110 13.2.2), and a date beside it never. */
        strcat(
            line,
            "Range: bytes=5000-\r\nIf-None-Match: \"a-1\"\r\nIf-Unmodified-Since: Sat, 01 Jan 0099 00:00:00 GMT\r\n");
        CHECK_EQUAL(judge("GET", line).status, cases[each].status == 200 ? 304 : cases[each].status);
    }
}

static void dates_in_the_preferred_form(void) {
    static const struct {
        const char *date;
        unsigned modified, unmodified;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 304, 200}, {"Sun, 06 Nov 1994 08:49:36 GMT", 200, 412},
        {"Sun, 06 Nov 1994 08:49:38 GMT", 304, 200}, {"Fri, 31 Dec 9999 23:59:59 GMT", 304, 200},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 200, 412}, {"Wed, 31 Dec 1969 23:59:59 GMT", 200, 412},
        {"Mon, 06 Nov 1994 08:49:38 GMT", 0, 0},     {"sun, 06 Nov 1994 08:49:38 GMT", 0, 0},
        {"Sun,  6 Nov 1994 08:49:38 GMT", 0, 0},     {"Sun, 6 Nov 1994 08:49:38 GMT", 0, 0},
        {"Sun, 06 Nov 1994 08:49:60 GMT", 0, 0},     {"Wed, 30 Feb 1994 08:49:37 GMT", 0, 0},
        {"Sun, 06 Nov 1994 08:49:38 UTC", 0, 0},     {"Sunday, 06-Nov-94 08:49:37 GMT", 0, 0},
        {"Sun Nov  6 08:49:37 1994", 0, 0},          {"", 0, 0},
        {"Sun, 06 Nov 1994 08:49:38 GMT, x", 0, 0},
    };
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        char line[256];
        snprintf(line, sizeof line, "If-Modified-Since: %s\r\n", cases[each].date);
        struct pr_answer answer = judge("GET", line);
        expect_status(&answer, cases[each].modified, line);
        snprintf(line, sizeof line, "If-Unmodified-Since: %s\r\n", cases[each].date);
        answer = judge("GET", line);
        expect_status(&answer, cases[each].unmodified, line);
    }
}

static void if_modified_since_by_the_very_date(void) {
    char line[256];
    snprintf(line, sizeof line, "If-Modified-Since: %s\r\n", date);
    struct pr_answer same = judge("GET", line), head = judge("HEAD", line);
    expect_status(&same, 304, "the same date");
    expect_status(&head, 304, "the same date");
    strcat(line, "Range: bytes=0-1\r\n");
    struct pr_answer ranged = judge("GET", line);
    expect_status(&ranged, 304, "the same date, with Range");
    CHECK_EQUAL(judge("GET", "If-Modified-Since: yesterday\r\n").status, 0);
    CHECK_EQUAL(judge("GET", "If-Modified-Since:\r\n").status, 0);
    struct pr_publication undated = region;
    undated.last_modified = (struct pr_text){0};
    CHECK_EQUAL(judge_of(&undated, 1000, "GET", "If-Modified-Since:\r\n").status, 0);
    CHECK_EQUAL(judge_of(&undated, 1000, "GET", line).status, 0);
}

static void a_date_beside_a_tag_counts_for_nothing(void) {
    char line[256];
    snprintf(line, sizeof line, "If-Modified-Since: %s\r\nIf-None-Match: \"b\"\r\n", date);
    struct pr_answer answer = judge("GET", line);
    expect_whole(&answer, "another tag and the same date");
    answer = judge("GET", "If-Modified-Since: yesterday\r\nIf-None-Match: \"a-1\"\r\n");
    expect_status(&answer, 304, "the same tag and any date");
}

static void if_range_by_a_strong_tag(void) {
    static const struct {
        const char *value;
        unsigned status;
    } cases[] = {
        {"\"a-1\"", 206},
        {"\"a-2\"", 200},
        {"W/\"a-1\"", 200},
        {"\"\"", 200},
        {"\"a-1\", \"b\"", 0},
        {"*", 0},
        {"", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
    };
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        char line[128];
        snprintf(line, sizeof line, "Range: bytes=10-19\r\nIf-Range: %s\r\n", cases[each].value);
        struct pr_answer answer = judge("GET", line);
        expect_status(&answer, cases[each].status, line);
        if (cases[each].status == 200) expect_whole(&answer, line);
        if (cases[each].status == 206) CHECK_EQUAL(answer.offset, 10);
        /* Without a range it says nothing (RFC 9110 13.1.5), nor on HEAD. */
        snprintf(line, sizeof line, "If-Range: %s\r\n", cases[each].value);
        answer = judge("GET", line);
        expect_whole(&answer, line);
    }
    /* One that fails makes what the range says count for nothing. */
    struct pr_answer answer = judge("GET", "Range: items=0-1\r\nIf-Range: \"b\"\r\n");
    expect_whole(&answer, "another tag and another unit");
}

/* Heads. */

static struct pr_template template_of(const struct pr_publication *is) {
    return (struct pr_template){.fields = is->fields,
                                .content_type = is->content_type,
                                .others = is->others,
                                .origin_fields = is->origin_fields};
}

/* Every field that differs: nobody can foresee the date but by asking for it twice. */
static void expect_head_of(const struct pr_publication *is, const struct pr_answer *answer, bool keeps,
                           unsigned keep_alive, const char *before_date, const char *behind, const char *problem) {
    struct pr_template template = template_of(is);
    const struct pr_published published = {.size = 1000, .template = &template, .is = *is};
    const struct pr_validators validators = {.etag = region.etag, .last_modified = region.last_modified};
    char into[PR_LONGEST_ANSWER], expected[2048], now[64];
    struct pr_head_end end = {0};
    time_t first, second;
    size_t length;
    do {
        first = pr_second();
        length = pr_answer_head(into, &published, &validators, answer, keeps, keep_alive, &end);
        second = pr_second();
    } while (first != second);
    struct tm parts;
    gmtime_r(&first, &parts);
    strftime(now, sizeof now, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    snprintf(expected, sizeof expected, "%sDate: %s\r\n%s\r\n%s", before_date, now, behind, problem);
    if (length != strlen(expected) || memcmp(into, expected, length) != 0)
        FAIL("\"%.*s\", not \"%s\"", (int)length, into, expected);
}

static void expect_head(const struct pr_answer *answer, bool keeps, unsigned keep_alive, const char *before_date,
                        const char *behind, const char *problem) {
    expect_head_of(&region, answer, keeps, keep_alive, before_date, behind, problem);
}

static void the_head_of_a_range(void) {
    struct pr_answer answer = {.status = PR_STATUS_PARTIAL, .has_body = true, .offset = 10, .length = 90};
    expect_head(&answer, true, 72,
                "HTTP/1.1 206 Partial Content\r\netag: \"a-1\"\r\n" LAST_MODIFIED LINK "accept-ranges: bytes\r\n"
                "content-type: application/octet-stream\r\ncontent-length: 90\r\ncontent-range: bytes 10-99/1000\r\n"
                "x-own: 1\r\n",
                "Connection: keep-alive\r\nKeep-Alive: timeout=72\r\n", "");
}

static void the_head_of_a_whole_region_that_ends_its_connection(void) {
    struct pr_answer answer = {.status = PR_STATUS_OK, .has_body = true, .length = 1000};
    expect_head(&answer, false, 72,
                "HTTP/1.1 200 OK\r\netag: \"a-1\"\r\n" LAST_MODIFIED LINK "accept-ranges: bytes\r\n"
                "content-type: application/octet-stream\r\ncontent-length: 1000\r\nx-own: 1\r\n",
                "Connection: close\r\n", "");
}

static void the_head_of_what_was_not_modified(void) {
    struct pr_answer answer = {.status = PR_STATUS_NOT_MODIFIED};
    expect_head(&answer, true, 0,
                "HTTP/1.1 304 Not Modified\r\netag: \"a-1\"\r\n" LAST_MODIFIED LINK "accept-ranges: bytes\r\n",
                "Connection: keep-alive\r\n", "");
}

static void the_head_of_a_problem_and_the_problem(void) {
    struct pr_answer range = judge("GET", "Range: bytes=1000-\r\n"), failed = judge("GET", "If-Match: \"b\"\r\n");
    expect_head(&range, true, 72,
                "HTTP/1.1 416 Range Not Satisfiable\r\nvary: Origin\r\ncontent-range: bytes */1000\r\n"
                "content-type: application/problem+json\r\ncontent-length: 171\r\n",
                "Connection: keep-alive\r\nKeep-Alive: timeout=72\r\n",
                "{\"type\":\"urn:pagerelay:problem:range-not-satisfiable\",\"title\":\"The region holds no byte of the "
                "range.\","
                "\"status\":416,\"code\":\"range-not-satisfiable\",\"instance\":\"/regions/a\"}");
    expect_head(
        &failed, false, 72,
        "HTTP/1.1 412 Precondition Failed\r\nvary: Origin\r\netag: \"a-1\"\r\n"
        "content-type: application/problem+json\r\ncontent-length: 186\r\n",
        "Connection: close\r\n",
        "{\"type\":\"urn:pagerelay:problem:precondition-failed\",\"title\":\"The region is not in the state that the "
        "request asks for.\",\"status\":412,\"code\":\"precondition-failed\",\"instance\":\"/regions/a\"}");
    struct pr_answer head = judge("HEAD", "If-Match: \"b\"\r\n");
    expect_head(&head, true, 0,
                "HTTP/1.1 412 Precondition Failed\r\nvary: Origin\r\netag: \"a-1\"\r\n"
                "content-type: application/problem+json\r\ncontent-length: 186\r\n",
                "Connection: keep-alive\r\n", "");
}

static void the_head_of_a_version_that_its_path_names_links_to_none(void) {
    struct pr_answer answer = {.status = PR_STATUS_NOT_MODIFIED};
    struct pr_publication one = region;
    one.one_version = true;
    expect_head_of(&one, &answer, true, 0,
                   "HTTP/1.1 304 Not Modified\r\netag: \"a-1\"\r\n" LAST_MODIFIED "accept-ranges: bytes\r\n",
                   "Connection: keep-alive\r\n", "");
}

static void the_longest_head_has_room(void) {
    static char fields[PR_LONGEST_FIELDS];
    static char into[PR_LONGEST_ANSWER], path[PR_LONGEST_HEAD];
    memset(fields, 'a', sizeof fields);
    static char tag[sizeof((struct pr_validators *)NULL)->made_etag];
    const struct pr_text none = TEXT("");
    struct pr_template template = {.content_type = none, .others = none};
    struct pr_published published = {.size = UINT64_MAX, .template = &template};
    struct pr_validators now = {.etag = {.at = tag, .length = sizeof now.made_etag}, .last_modified = TEXT(date)};
    /* The published tag was the longest one, once as such and once in the link, and there was no date. */
    template.fields = (struct pr_text){.at = fields, .length = sizeof fields - 2 * PR_LONGEST_TAG};
    struct pr_answer answer = {.status = PR_STATUS_PARTIAL, .has_body = true, .offset = UINT64_MAX - 10, .length = 10};
    struct pr_head_end end = {0};
    CHECK(pr_answer_head(into, &published, &now, &answer, true, UINT32_MAX, &end) <= sizeof into);
    published.is.path = (struct pr_text){.at = path, .length = sizeof path};
    template.origin_fields = template.fields;
    answer = (struct pr_answer){.status = PR_STATUS_FAILED, .has_problem = true, .length = UINT64_MAX};
    CHECK(pr_answer_head(into, &published, &now, &answer, true, UINT32_MAX, &end) <= sizeof into);
    answer.status = PR_STATUS_UNSATISFIABLE;
    CHECK(pr_answer_head(into, &published, &now, &answer, true, UINT32_MAX, &end) <= sizeof into);
}

static void a_file_that_was_written_just_now_is_not_of_the_future(void) {
    struct pr_validators now = {.dated = 0};
    struct pr_template template = template_of(&region);
    struct pr_published published = {.size = 1000, .modified = 784111777, .template = &template, .is = region};
    struct pr_answer answer = {.status = PR_STATUS_NOT_MODIFIED};
    struct pr_head_end end = {.second = pr_second() - 1};
    struct pr_generation written = {.cut = false};
    char into[PR_LONGEST_ANSWER];
    /* Once a second time(2) is behind, for a moment. */
    for (uint64_t from = pr_now(); time(NULL) == pr_second() && pr_now() < from + 10000000000u;) continue;
    written.info.modified_seconds = pr_second();
    CHECK(pr_validators_find(&published, &written, &now));
    into[pr_answer_head(into, &published, &now, &answer, true, 0, &end)] = '\0';
    CHECK(end.second >= written.info.modified_seconds);
    CHECK(strstr(into, now.made_date) != NULL);
    written.info.modified_seconds = pr_second() + 1000;
    CHECK(!pr_validators_find(&published, &written, &now));
}

int main(void) {
    RUN(get_without_a_range_is_answered_whole_and_head_without_a_body);
    RUN(other_methods_and_what_is_not_plain_are_nodes);
    RUN(who_names_an_origin_is_nodes_unless_the_answer_is_for_any);
    RUN(one_satisfiable_range_is_answered);
    RUN(a_range_of_which_the_region_has_no_byte_is_answered_with_a_problem);
    RUN(other_ranges_are_nodes);
    RUN(each_range_of_a_small_region);
    RUN(if_none_match_by_one_tag);
    RUN(if_match_by_one_tag);
    RUN(dates_in_the_preferred_form);
    RUN(if_modified_since_by_the_very_date);
    RUN(a_date_beside_a_tag_counts_for_nothing);
    RUN(if_range_by_a_strong_tag);
    RUN(the_head_of_a_range);
    RUN(the_head_of_a_whole_region_that_ends_its_connection);
    RUN(the_head_of_what_was_not_modified);
    RUN(the_head_of_a_version_that_its_path_names_links_to_none);
    RUN(the_head_of_a_problem_and_the_problem);
    RUN(the_longest_head_has_room);
    RUN(a_file_that_was_written_just_now_is_not_of_the_future);
    return 0;
}
